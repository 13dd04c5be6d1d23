/*
 * A cage that is half made before it is known what for: the namespaces that take the kernel long, and a root with what every cage has. Bubblewrap stands in it and waits for its options, which say
 * the rest; and the helper inside gets its words and its streams by descriptor.
 */
#define _GNU_SOURCE
#include "helper.h"
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- before ---- */

/* Small files are copied, and folders made for what a plan mounts. */
#define ROOT_OPTIONS "mode=0755,size=16m,nr_inodes=16k"

static const char *root;

/* Where `path` stands in the root that is being made. */
static const char *at_root(const char *path)
{
    static char text[4096];
    if (path[0] != '/' || strlen(root) + strlen(path) >= sizeof text) die("%s", path);
    snprintf(text, sizeof text, "%s%s", root, path);
    return text;
}

static int make(const char *path, int flags, mode_t mode)
{
    int fd = (int) syscall(SYS_openat, AT_FDCWD, path, flags | O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
    if (fd < 0) die("%s", path);
    return fd;
}

static void copy(const char *from, const char *to, mode_t mode)
{
    static char bytes[1 << 16];
    int in = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0) die("%s", from);
    int out = make(to, 0, mode);
    ssize_t got;
    while ((got = read(in, bytes, sizeof bytes)) > 0) if (write(out, bytes, (size_t) got) != got) die("%s", to);
    if (got < 0) die("%s", from);
    close(in);
    close(out);
}

static void stand(const char *from, const char *to, int attributes)
{
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) != 0) die("%s", from);
    /* All that is mounted in it too. */
    if (attribute(to, attributes, 1) != 0) die("%s", to);
}

static const char *devices_at;

/* As root one of the cage's own, so that what is done to it is done to nobody else's; else the host's, which only root could change. */
static void node(const char *path)
{
    struct stat found;
    if (look(AT_FDCWD, path, 0, &found) != 0) return;
    const char *to = at_root(path);
    if (syscall(SYS_mknodat, AT_FDCWD, to, found.st_mode, found.st_rdev) == 0) return;
    close(make(to, 0, 0666));
    stand(path, to, READ_ONLY | NOSUID);
}

/* In a new network namespace it is there, and down. */
static void loopback_up(void)
{
    struct ifreq lo = { .ifr_name = "lo" };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || syscall(SYS_ioctl, fd, SIOCGIFFLAGS, &lo) != 0) die("lo");
    lo.ifr_flags |= IFF_UP;
    if (syscall(SYS_ioctl, fd, SIOCSIFFLAGS, &lo) != 0) die("lo");
    close(fd);
}

/* What the kernel shows of this cage's processes, and nothing of the computer's that can be written. */
static void show_kernel(const char *path)
{
    static const char *const SETTINGS[] = { "sys", "irq", "bus", "sysrq-trigger" };
    char setting[64];
    if (mkdir(at_root(path), 0755) != 0) die("%s", path);
    if (mount("proc", at_root(path), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) die("%s", path);
    /* As real root some of them open for writing, even in a user namespace of one's own. */
    for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS; i++) {
        snprintf(setting, sizeof setting, "%s/%s", path, SETTINGS[i]);
        const char *at = at_root(setting);
        if (access(at, F_OK) == 0) stand(at, at, READ_ONLY | NOSUID | NODEV | NOEXEC);
    }
}

static void hide(const char *path)
{
    char nothing[4096];
    snprintf(nothing, sizeof nothing, "%s/null", at_root(devices_at ? devices_at : "/"));
    if (access(at_root(path), F_OK) == 0) stand(nothing, at_root(path), READ_ONLY | NOSUID | NODEV | NOEXEC);
}

/*
 * The processes of the cage are a namespace of their own. Its first is bubblewrap, which no program in the cage can reach: it is of a user namespace above the program's, so its memory is nobody's there, and as
 * a first process it is deaf to signals from below. What is left here waits for its end, and holds nothing of the run.
 */
static void as_first_process(void)
{
    pid_t first = fork();
    if (first < 0) die("fork");
    if (first == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) die("prctl");
        return;
    }
    for (int fd = 0; fd < STANDBY_DESCRIPTORS; fd++) close(fd);
    int status;
    while (waitpid(first, &status, 0) < 0) if (errno != EINTR) exit(FAILED);
    exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

int standby(char **args)
{
    /* Whoever waits for a call goes with whoever would make it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) die("prctl");
    char **at = step_aside(args, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID);
    as_first_process();
    /* Not every kernel has these. */
    syscall(SYS_unshare, CLONE_NEWCGROUP);
    /* Modes of the root are those that are said; the program gets its own back. */
    mode_t modes = (mode_t) syscall(SYS_umask, 0);
    errno = 0;
    if (!at[0] || strcmp(at[0], "--root") != 0 || !at[1]) die("no root");
    root = at[1];
    if (mount("noctem", root, "tmpfs", MS_NOSUID | MS_NODEV, ROOT_OPTIONS) != 0) die("%s", root);
    for (at += 2; *at && strcmp(*at, "--") != 0; at += 2) {
        const char *option = *at, *value = at[1];
        errno = 0;
        if (!value) die("%s wants a value", option);
        if (strcmp(option, "--folder") == 0) {
            if (mkdir(at_root(value), 0755) != 0) die("%s", value);
            continue;
        }
        if (strcmp(option, "--devices") == 0) {
            devices_at = value;
            if (mkdir(at_root(value), 0755) != 0) die("%s", value);
            if (mount("noctem", at_root(value), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k,nr_inodes=64") != 0) die("%s", value);
            continue;
        }
        if (strcmp(option, "--node") == 0) {
            node(value);
            continue;
        }
        if (strcmp(option, "--kernel") == 0) {
            show_kernel(value);
            continue;
        }
        if (strcmp(option, "--hide") == 0) {
            hide(value);
            continue;
        }
        if (strcmp(option, "--terminals") == 0) {
            if (mount("devpts", at_root(value), "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620") != 0) die("%s", value);
            continue;
        }
        /* These are of two words. */
        const char *inside = at[2];
        if (!inside) die("%s wants a place", option);
        at++;
        if (strcmp(option, "--mount") == 0) {
            if (mkdir(at_root(inside), 0755) != 0 && errno != EEXIST) die("%s", inside);
            stand(value, at_root(inside), READ_ONLY | NOSUID | NODEV);
        } else if (strcmp(option, "--tmpfs") == 0) {
            char options[64];
            if (mkdir(at_root(inside), 0755) != 0) die("%s", inside);
            snprintf(options, sizeof options, "mode=0755,size=%s", value);
            if (mount("noctem", at_root(inside), "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) die("%s", inside);
        } else if (strcmp(option, "--link") == 0) {
            if (syscall(SYS_symlinkat, value, AT_FDCWD, at_root(inside)) != 0) die("%s", inside);
        } else if (strcmp(option, "--file") == 0) copy(value, at_root(inside), 0444);
        else if (strcmp(option, "--program") == 0) copy(value, at_root(inside), 0555);
        else die("unknown option %s", option);
    }
    errno = 0;
    if (!*at || !at[1]) die("no program");
    /* Nobody adds to it, or changes what a node is. */
    if (devices_at && attribute(at_root(devices_at), READ_ONLY | NOSUID, 0) != 0) die("%s", devices_at);
    loopback_up();
    if (syscall(SYS_sethostname, "noctem", 6) != 0) die("name");
    syscall(SYS_umask, modes);
    execv(at[1], at + 1);
    die("%s", at[1]);
}

/* ---- inside ---- */

static int control = -1;

/* Bytes of words; who has more builds a cage anew. */
#define MOST_WORDS (64 << 10)

/*
 * Its words where they come by descriptor: each with NUL at its end, and before them how many there are, so that what was cut off does not begin. Whoever writes them has written all of bubblewrap's
 * options before; so who has words is in a whole cage.
 */
char **standby_words(char **args)
{
    if (!args[0] || strcmp(args[0], "--standby") != 0) return args;
    errno = 0;
    /* Bubblewrap is the first. Outside of such a cage everything that it ends would be everybody's. */
    if (getpid() != 2) die("not in a cage that stands ready");
    for (int i = 1; i < 5; i++) if (!args[i]) die("--standby wants four descriptors");
    int words = (int) number(args[1]), out = (int) number(args[3]), err = (int) number(args[4]);
    control = (int) number(args[2]);
    static char text[MOST_WORDS];
    static char *list[MOST_WORDS / 2];
    size_t size = 0, count = 0;
    ssize_t got;
    while (size < sizeof text && ((got = read(words, text + size, sizeof text - size)) > 0 || (got < 0 && errno == EINTR))) if (got > 0) size += (size_t) got;
    errno = 0;
    if (size == 0 || text[size - 1] != '\0') die("words that do not end");
    for (size_t next = 0; next < size; next += strlen(text + next) + 1) {
        if (count == sizeof list / sizeof *list - 1) die("too many words");
        list[count++] = text + next;
    }
    if (number(list[0]) != (long) count - 1) die("words that do not end");
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0) die("streams");
    fcntl(control, F_SETFD, FD_CLOEXEC);
    /* Whatever loses its parent in here is this one's, as it would be a first process's. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) die("orphans");
    /* A filter that this plan has no use for, where the words came from, the streams as they came. */
    for (int fd = STDERR_FILENO + 1; fd < STANDBY_DESCRIPTORS; fd++) if (fd != control) close(fd);
    return list + 1;
}

/* From here on something of the run may have happened. */
void standby_begins(void)
{
    if (control >= 0) dprintf(control, "begun\n");
}

/*
 * The program has ended. What it left behind ends before anybody is told, so that whoever is told need not wait until the kernel has taken the cage apart. Its output is at its end with the last who could write to it.
 */
void standby_ended(int code)
{
    if (control < 0) return;
    relay_end();
    syscall(SYS_kill, -1, SIGKILL);
    for (;;) {
        int status;
        pid_t gone = waitpid(-1, &status, 0);
        if (gone < 0 && errno != EINTR) break;
    }
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++) if (nothing < 0) close(fd); else dup2(nothing, fd);
    dprintf(control, "exit %d\n", code);
}
