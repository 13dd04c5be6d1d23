/* What is done in a cage before its program runs, and while it runs: limits, Landlock, and being the first process. */
#define _GNU_SOURCE
#include "helper.h"
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- limits ---- */

static const struct { const char *name; int resource; } LIMITS[] = {
    { "cpu", RLIMIT_CPU }, { "as", RLIMIT_AS }, { "nproc", RLIMIT_NPROC }, { "nofile", RLIMIT_NOFILE },
    { "fsize", RLIMIT_FSIZE }, { "core", RLIMIT_CORE }, { "stack", RLIMIT_STACK }, { "memlock", RLIMIT_MEMLOCK },
};

/* NAME=VALUE. Lowered only: a hard limit below the wanted one is stricter already. */
static void limit(const char *text)
{
    for (size_t i = 0; i < sizeof LIMITS / sizeof *LIMITS; i++) {
        size_t length = strlen(LIMITS[i].name);
        if (strncmp(text, LIMITS[i].name, length) != 0 || text[length] != '=') continue;
        struct rlimit now;
        if (limits(LIMITS[i].resource, NULL, &now) != 0) die("limit %s", text);
        rlim_t wanted = (rlim_t) number(text + length + 1);
        if (now.rlim_max != RLIM_INFINITY && now.rlim_max < wanted) wanted = now.rlim_max;
        struct rlimit next = { wanted, wanted };
        if (limits(LIMITS[i].resource, &next, NULL) != 0) die("limit %s", text);
        return;
    }
    errno = 0;
    die("no such limit: %s", text);
}

/* ---- Landlock: a second fence around the same files ---- */

/* The headers that this is built with may be older than the kernel that it runs on. */
struct ruleset { __u64 files, net, scoped; };
#define FS_READ (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_ALL_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define NET_BIND_TCP (1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPES 3ULL

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < 0 ? 0 : (int) abi;
}

struct fence { int fd, abi; struct ruleset handled; };

static struct fence fence_begin(int network)
{
    struct fence fence = { -1, landlock_abi(), { 0, 0, 0 } };
    if (fence.abi == 0) return fence;
    fence.handled.files = FS_ALL_1 | (fence.abi >= 2 ? FS_REFER : 0) | (fence.abi >= 3 ? FS_TRUNCATE : 0) |
        (fence.abi >= 5 ? FS_IOCTL_DEV : 0);
    if (network && fence.abi >= 4) fence.handled.net = NET_CONNECT_TCP;
    if (fence.abi >= 6) fence.handled.scoped = SCOPES;
    size_t size = fence.abi >= 6 ? 24 : fence.abi >= 4 ? 16 : 8;
    fence.fd = (int) syscall(SYS_landlock_create_ruleset, &fence.handled, size, 0);
    if (fence.fd < 0) die("landlock");
    return fence;
}

static void fence_path(struct fence *fence, const char *path, int writable)
{
    if (fence->fd < 0) return;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) die("landlock %s", path);
    struct stat found;
    if (look(fd, "", AT_EMPTY_PATH, &found) != 0) die("landlock %s", path);
    __u64 access = writable ? fence->handled.files : FS_READ;
    if (!S_ISDIR(found.st_mode)) access &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
        FS_TRUNCATE | FS_IOCTL_DEV;
    struct landlock_path_beneath_attr rule = { .allowed_access = access & fence->handled.files, .parent_fd = fd };
    if (syscall(SYS_landlock_add_rule, fence->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) die("landlock %s", path);
    close(fd);
}

static void fence_port(struct fence *fence, long port)
{
    if (fence->fd < 0 || fence->handled.net == 0) return;
    struct { __u64 access, port; } rule = { NET_CONNECT_TCP, (__u64) port };
    if (syscall(SYS_landlock_add_rule, fence->fd, 2 /* LANDLOCK_RULE_NET_PORT */, &rule, 0) != 0) die("landlock port %ld", port);
}

static void fence_close(const struct fence *fence)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("no_new_privs");
    if (fence->fd < 0) return;
    if (syscall(SYS_landlock_restrict_self, fence->fd, 0) != 0) die("landlock");
    close(fence->fd);
}

static void woken(int number) { (void) number; }

static int handle(int number, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };
    return sigaction(number, &action, NULL);
}

/* The host's /dev/null as standard input is a way to the host's node: the cage has one of its own. */
static void own_nothing(void)
{
    struct stat input;
    if (look(STDIN_FILENO, "", AT_EMPTY_PATH, &input) != 0 || !S_ISCHR(input.st_mode)) return;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0) die("/dev/null");
}

/*
 * Stays as the first process and runs the program below itself. A program that is the first process may undo that it dies with its parent, and
 * live on when Noctem is killed; this one cannot be reached: not dumpable, so nobody's memory to write, and deaf to signals as every first process is.
 *
 * That it dies with its parent is not enough: the parent may be gone before it can ask for that, and a first process sees no parent to ask about. But whoever
 * reads its output is Noctem, and nobody else; when nobody reads any more it ends, and everything in here with it.
 */
static int first_process(char **command)
{
    if (prctl(PR_SET_DUMPABLE, 0) != 0) die("dumpable");
    sigset_t none, child_ended;
    sigemptyset(&none);
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    /* Heard only while waiting, so that an end between a look and the wait is not missed. */
    if (sigprocmask(SIG_BLOCK, &child_ended, NULL) != 0 || handle(SIGCHLD, woken) != 0) die("signals");
    standby_begins();
    pid_t child = fork(), gone;
    if (child < 0) die("fork");
    if (child == 0) {
        /* A group of its own, so that it and all it starts can be stopped together. */
        setsid();
        handle(SIGCHLD, SIG_DFL);
        sigprocmask(SIG_SETMASK, &none, NULL);
        own_nothing();
        execv(command[0], command);
        /* As a shell says it, so that the host can tell the cage's failure from the program's absence. */
        int code = errno == ENOENT ? 127 : 126;
        dprintf(STDERR_FILENO, "%s: %s\n", command[0], strerror(errno));
        exit(code);
    }
    for (;;) {
        int status;
        /* Orphans come here too. */
        while ((gone = waitpid(-1, &status, WNOHANG)) > 0)
            if (gone == child) {
                int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
                standby_ended(code);
                return code;
            }
        if (gone < 0 && errno != EINTR) return FAILED;
        struct pollfd reader = { .fd = STDOUT_FILENO };
        if (ppoll(&reader, 1, NULL, &none) > 0) return FAILED;
    }
}

int inside(char **args)
{
    const char *socket_path = NULL;
    long port = 0, only_port = -1;
    struct fence fence = { -1, 0, { 0, 0, 0 } };
    int fenced = 0;
    args = standby_words(args);
    char **at = args;
    /* Whether the network is fenced has to be known before the first path is. */
    for (char **look = args; *look && strcmp(*look, "--") != 0; look++) {
        if (strcmp(*look, "--no-net-but") == 0 && look[1]) only_port = number(look[1]);
    }
    for (; *at && strcmp(*at, "--") != 0; at++) {
        char *option = *at, *value = at[1];
        errno = 0;
        if (!value) die("%s wants a value", option);
        if (strcmp(option, "--rlimit") == 0) limit(value);
        else if (strcmp(option, "--landlock-ro") == 0 || strcmp(option, "--landlock-rw") == 0) {
            if (!fenced) { fence = fence_begin(only_port >= 0); fenced = 1; }
            fence_path(&fence, value, option[12] == 'w');
        } else if (strcmp(option, "--no-net-but") == 0) { /* seen above */ }
        else if (strcmp(option, "--same") == 0) expect_same(value);
        else if (strcmp(option, "--relay") == 0) {
            if (!at[2]) die("--relay wants a port and a socket");
            port = number(value);
            socket_path = at[2];
            at++;
        } else die("unknown option %s", option);
        at++;
    }
    errno = 0;
    if (!*at || !at[1]) die("no program");
    if (socket_path) relay_start(port, socket_path);
    if (fenced) {
        if (only_port >= 0) fence_port(&fence, only_port);
        fence_close(&fence);
    }
    return first_process(at + 1);
}
