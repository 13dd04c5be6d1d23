/*
 * What a cage needs to have done from the inside, or from between the host and bubblewrap. One small static program, because
 * whatever runs before the cage's own program adds to every call, and because there is no library in there to load.
 *
 *   helper inside OPTIONS -- PROGRAM ARGS…    as the cage's first process: limits, Landlock, the relay; then becomes PROGRAM
 *   helper overlay OPTIONS -- BWRAP ARGS…     around bubblewrap: a copy-on-write view of a folder; stays until it is told to go
 *   helper devices [--group FOLDER]… PATHS… -- COMMAND…
 *                                             for root, around all others: enters control groups; what these nodes are cannot be changed, only what is read and written
 *   helper user-namespace                     prints "made" or "refused": whether what runs here could have privileges of its own
 *   helper landlock-abi                       prints the kernel's Landlock version, or 0
 *
 * It is told everything by its arguments, reads no environment and no file, and ends with 125 and one line on standard error where it
 * cannot do all that it was told: half a cage is none.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILED 125

static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("noctem-helper: ", stderr);
    vfprintf(stderr, format, args);
    if (errno) fprintf(stderr, ": %s", strerror(errno));
    fputc('\n', stderr);
    va_end(args);
    exit(FAILED);
}

static long number(const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 0 || errno) { errno = 0; die("not a number: %s", text); }
    return value;
}

/* PATH:DEV:INO. What was looked at is what is here: a folder swapped for another between the look and the mount ends it. */
static void expect_same(const char *text)
{
    char path[4096];
    unsigned long long dev, ino;
    const char *colon = strrchr(text, ':'), *first = colon;
    while (first && first > text && *--first != ':') { }
    if (!first || first == text || first - text >= (long) sizeof path || sscanf(first, ":%llu:%llu", &dev, &ino) != 2) die("not PATH:DEV:INO");
    memcpy(path, text, (size_t) (first - text));
    path[first - text] = '\0';
    struct stat found;
    if (lstat(path, &found) != 0) die("%s", path);
    errno = 0;
    if (found.st_dev != dev || found.st_ino != ino) die("%s is not what it was a moment ago", path);
}

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
        if (getrlimit(LIMITS[i].resource, &now) != 0) die("limit %s", text);
        rlim_t wanted = (rlim_t) number(text + length + 1);
        if (now.rlim_max != RLIM_INFINITY && now.rlim_max < wanted) wanted = now.rlim_max;
        struct rlimit next = { wanted, wanted };
        if (setrlimit(LIMITS[i].resource, &next) != 0) die("limit %s", text);
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

static int landlock_abi(void)
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
    if (fstat(fd, &found) != 0) die("landlock %s", path);
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

/* ---- the relay: 127.0.0.1:PORT in here leads to the proxy's socket on the host ---- */

#define PAIRS 128
#define BLOCK 65536

struct flow { char bytes[BLOCK]; size_t from, to; int ended, shut; };
struct pair { int fd[2]; struct flow *flow[2]; };

static void pair_close(struct pair *pair)
{
    for (int i = 0; i < 2; i++) { close(pair->fd[i]); free(pair->flow[i]); }
    pair->fd[0] = pair->fd[1] = -1;
}

/* Moves what can be moved from one end to the other. 0 when the connection broke. */
static int flow_move(struct flow *flow, int from, int to, int readable)
{
    if (readable && !flow->ended && flow->to == flow->from) {
        ssize_t got = read(from, flow->bytes, BLOCK);
        if (got == 0) flow->ended = 1;
        else if (got < 0) { if (errno != EAGAIN && errno != EINTR) return 0; }
        else { flow->from = 0; flow->to = (size_t) got; }
    }
    while (flow->from < flow->to) {
        ssize_t put = send(to, flow->bytes + flow->from, flow->to - flow->from, MSG_NOSIGNAL);
        if (put < 0) { if (errno == EAGAIN) return 1; if (errno == EINTR) continue; return 0; }
        flow->from += (size_t) put;
    }
    if (flow->ended && !flow->shut) { shutdown(to, SHUT_WR); flow->shut = 1; }
    return 1;
}

static int dial(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) return -1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof address) != 0) { if (fd >= 0) close(fd); return -1; }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int listen_on(long port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short) port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0) die("relay");
    if (bind(fd, (struct sockaddr *) &address, sizeof address) != 0 || listen(fd, PAIRS) != 0) die("relay on port %ld", port);
    return fd;
}

static void relay(int listener, const char *path)
{
    static struct pair pairs[PAIRS];
    for (int i = 0; i < PAIRS; i++) pairs[i].fd[0] = pairs[i].fd[1] = -1;
    /* As many as there are descriptors for: a connection that cannot be taken would be reported for ever. */
    struct rlimit files;
    int most = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 2 * PAIRS + 16 ? ((int) files.rlim_cur - 16) / 2 : PAIRS;
    for (;;) {
        /* Those in use alone: the kernel refuses a longer list than there may be descriptors. */
        struct pollfd polls[1 + 2 * PAIRS];
        short seen[PAIRS][2] = { 0 }, *told[1 + 2 * PAIRS];
        nfds_t count = 1;
        int free_slot = -1;
        for (int i = 0; i < most; i++) {
            struct pair *pair = &pairs[i];
            if (pair->fd[0] < 0) { free_slot = i; continue; }
            for (int side = 0; side < 2; side++) {
                struct flow *out = pair->flow[side], *in = pair->flow[1 - side];
                short events = 0;
                if (!out->ended && out->from == out->to) events |= POLLIN;
                if (in->from < in->to) events |= POLLOUT;
                /* Both ended here: a hang-up would otherwise be reported for ever. */
                if (events == 0) continue;
                told[count] = &seen[i][side];
                polls[count++] = (struct pollfd) { .fd = pair->fd[side], .events = events };
            }
        }
        polls[0] = (struct pollfd) { .fd = free_slot < 0 ? -1 : listener, .events = POLLIN };
        if (poll(polls, count, -1) < 0) {
            if (errno != EINTR) exit(FAILED);
            continue;
        }
        for (nfds_t at = 1; at < count; at++) *told[at] = polls[at].revents;
        if (polls[0].revents & POLLIN) {
            int near = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            int far = near < 0 ? -1 : dial(path);
            struct flow *there = calloc(1, sizeof *there), *back = calloc(1, sizeof *back);
            if (near < 0 || far < 0 || !there || !back) {
                if (near >= 0) close(near);
                if (far >= 0) close(far);
                free(there);
                free(back);
            } else pairs[free_slot] = (struct pair) { { near, far }, { there, back } };
        }
        for (int i = 0; i < PAIRS; i++) {
            struct pair *pair = &pairs[i];
            if (pair->fd[0] < 0) continue;
            int alive = 1;
            for (int side = 0; side < 2 && alive; side++) {
                alive = flow_move(pair->flow[side], pair->fd[side], pair->fd[1 - side], seen[i][side] & (POLLIN | POLLHUP | POLLERR));
            }
            if (!alive || (pair->flow[0]->shut && pair->flow[1]->shut)) pair_close(pair);
        }
    }
}

/* Listening before the program runs, so that its first connection finds somebody. */
static void relay_start(long port, const char *path)
{
    int listener = listen_on(port);
    pid_t parent = getpid(), child = fork();
    if (child < 0) die("relay");
    if (child > 0) { close(listener); return; }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) exit(FAILED);
    /* Nobody's memory to write: it has no Landlock fence, because it reaches the socket. */
    if (prctl(PR_SET_DUMPABLE, 0) != 0) exit(FAILED);
    /* Not the program's output: a pipe is at its end only when nobody holds it. */
    int nothing = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) dup2(nothing, fd);
    relay(listener, path);
}

static void woken(int number) { (void) number; }

/* The host's /dev/null as standard input is a way to the host's node: the cage has one of its own. */
static void own_nothing(void)
{
    struct stat input;
    if (fstat(STDIN_FILENO, &input) != 0 || !S_ISCHR(input.st_mode)) return;
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
    struct sigaction action = { .sa_handler = woken };
    if (sigprocmask(SIG_BLOCK, &child_ended, NULL) != 0 || sigaction(SIGCHLD, &action, NULL) != 0) die("signals");
    pid_t child = fork(), gone;
    if (child < 0) die("fork");
    if (child == 0) {
        /* A group of its own, so that it and all it starts can be stopped together. */
        setsid();
        signal(SIGCHLD, SIG_DFL);
        sigprocmask(SIG_SETMASK, &none, NULL);
        own_nothing();
        execv(command[0], command);
        /* As a shell says it, so that the host can tell the cage's failure from the program's absence. */
        int code = errno == ENOENT ? 127 : 126;
        fprintf(stderr, "%s: %s\n", command[0], strerror(errno));
        exit(code);
    }
    for (;;) {
        int status;
        /* Orphans come here too. */
        while ((gone = waitpid(-1, &status, WNOHANG)) > 0)
            if (gone == child) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (gone < 0 && errno != EINTR) return FAILED;
        struct pollfd reader = { .fd = STDOUT_FILENO };
        if (ppoll(&reader, 1, NULL, &none) > 0) return FAILED;
    }
}

static int inside(char **args)
{
    const char *socket_path = NULL;
    long port = 0, only_port = -1;
    struct fence fence = { -1, 0, { 0, 0, 0 } };
    int fenced = 0;
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

/* ---- the copy-on-write view ---- */

static void put(const char *path, const char *format, ...)
{
    char text[64];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t) length) != length) die("%s", path);
    close(fd);
}

/* Folders of one view: the workspace, and the repository that it belongs to where that lies elsewhere. */
#define FOLDERS 4

struct folder { const char *lower, *same; };

/*
 * One folder of the view. Where overlayfs will not have it, the host fills a copy, and says by a byte that it is there.
 * A colon or a comma in a path is the mount's own syntax: the folder is entered, and named by a dot.
 * Not mounted over the folder itself: its name may lead elsewhere by then. Our own folder nobody else sees.
 */
static int cover(const struct folder *folder, int index, const char *scratch, int control)
{
    char options[3 * 4096], upper[4096], work[4096], merged[4096], byte;
    snprintf(upper, sizeof upper, "%s/upper%d", scratch, index);
    snprintf(work, sizeof work, "%s/work%d", scratch, index);
    snprintf(merged, sizeof merged, "%s/merged%d", scratch, index);
    if (mkdir(upper, 0755) != 0 || mkdir(work, 0700) != 0 || mkdir(merged, 0755) != 0 || chdir(folder->lower) != 0) return 0;
    expect_same(folder->same);
    snprintf(options, sizeof options, "lowerdir=.,upperdir=%s,workdir=%s,userxattr", upper, work);
    if (mount("noctem", merged, "overlay", MS_NOSUID | MS_NODEV, options) == 0) return 1;
    dprintf(control, "copy %d\n", index);
    ssize_t got;
    while ((got = read(control, &byte, 1)) < 0 && errno == EINTR) { }
    if (got != 1 || byte != 'y') exit(FAILED);
    return mount(upper, merged, NULL, MS_BIND, NULL) == 0;
}

static int overlay(char **args)
{
    struct folder folders[FOLDERS] = { { NULL, NULL } };
    const char *bytes = NULL, *scratch = NULL;
    int count = 0;
    long control = -1;
    char **at = args;
    for (; *at && strcmp(*at, "--") != 0; at += 2) {
        errno = 0;
        if (!at[1]) die("%s wants a value", *at);
        if (strcmp(*at, "--lower") == 0) {
            if (count == FOLDERS) die("too many folders");
            folders[count++].lower = at[1];
        }
        else if (strcmp(*at, "--bytes") == 0) bytes = at[1];
        else if (strcmp(*at, "--scratch") == 0) scratch = at[1];
        else if (strcmp(*at, "--control") == 0) control = number(at[1]);
        else if (count > 0 && strcmp(*at, "--same") == 0) folders[count - 1].same = at[1];
        else die("unknown option %s", *at);
    }
    errno = 0;
    if (count == 0 || !bytes || !scratch || control < 0 || !*at || !at[1]) die("an option is missing");
    for (int i = 0; i < count; i++) if (!folders[i].same) die("an option is missing");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) die("prctl");
    uid_t uid = geteuid();
    gid_t gid = getegid();
    /* Its own id, not 0: what a tool writes here belongs to whom it would belong outside. */
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) goto none;
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", "%u %u 1", uid, uid);
    put("/proc/self/gid_map", "%u %u 1", gid, gid);
    char options[64];
    snprintf(options, sizeof options, "mode=0700,size=%s,nr_inodes=200k", bytes);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) goto none;
    if (mount("noctem", scratch, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) goto none;
    for (int i = 0; i < count; i++) if (!cover(&folders[i], i, scratch, (int) control)) goto none;
    if (chdir("/") != 0) die("chdir");
    dprintf((int) control, "ready\n");
    fcntl((int) control, F_SETFD, FD_CLOEXEC);
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execv(at[1], at + 1);
        die("%s", at[1]);
    }
    /* The program's output is at its end when the program is, not when the host has looked at what it wrote. */
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++) dup2(nothing, fd);
    int status;
    while (waitpid(child, &status, 0) < 0) if (errno != EINTR) return FAILED;
    if (WIFSIGNALED(status)) dprintf((int) control, "signal %d\n", WTERMSIG(status));
    else dprintf((int) control, "exit %d\n", WEXITSTATUS(status));
    /* The view stands until the host lets go of its end. */
    char byte;
    while (read((int) control, &byte, 1) > 0) { }
    return 0;
none:
    dprintf((int) control, "no-overlay %s\n", strerror(errno));
    return FAILED;
}

/*
 * In a cage of real root's the nodes of /dev belong to who runs there, and one chmod of /dev/null would be felt by the whole computer. Bubblewrap can make a
 * mount read-only, but closes devices with it; so the mounts that it takes them from are read-only already.
 */
static int devices(char **args)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    /* Before anything else is done: what cannot be counted is not started. */
    for (; args[0] && args[1] && strcmp(args[0], "--group") == 0; args += 2) {
        char procs[4096];
        if (snprintf(procs, sizeof procs, "%s/cgroup.procs", args[1]) >= (int) sizeof procs) die("%s", args[1]);
        put(procs, "0");
    }
    if (unshare(CLONE_NEWNS) != 0) {
        /* Root of a container may lack the right, and gets it in a namespace of its own. */
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) die("namespaces");
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", "%u %u 1", uid, uid);
        put("/proc/self/gid_map", "%u %u 1", gid, gid);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) die("mounts");
    char **at = args;
    for (; *at && strcmp(*at, "--") != 0; at++) {
        if (access(*at, F_OK) != 0) continue;
        if (mount(*at, *at, NULL, MS_BIND, NULL) != 0) die("%s", *at);
        if (mount(NULL, *at, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL) != 0) die("%s", *at);
    }
    errno = 0;
    if (!*at || !at[1]) die("no program");
    execv(at[1], at + 1);
    die("%s", at[1]);
    return FAILED;
}

int main(int count, char **args)
{
    signal(SIGPIPE, SIG_DFL);
    if (count >= 2 && strcmp(args[1], "inside") == 0) return inside(args + 2);
    if (count >= 2 && strcmp(args[1], "overlay") == 0) return overlay(args + 2);
    if (count == 2 && strcmp(args[1], "landlock-abi") == 0) return printf("%d\n", landlock_abi()) < 0;
    if (count >= 2 && strcmp(args[1], "devices") == 0) return devices(args + 2);
    if (count == 2 && strcmp(args[1], "user-namespace") == 0) return puts(unshare(CLONE_NEWUSER) == 0 ? "made" : "refused") < 0;
    errno = 0;
    die("inside, overlay, devices, user-namespace or landlock-abi");
    return FAILED;
}
