/* What is done around bubblewrap: the copy-on-write view, and nodes of devices that nobody can change. */
#define _GNU_SOURCE
#include "helper.h"
#include <fcntl.h>
#include <linux/types.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

int overlay(char **args)
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

/* ---- around root's cages ---- */

/* Of mount_setattr(2), which the headers that this is built with may not know. */
struct mount_changes { __u64 set, clear, propagation, owner; };
#define SETATTR 442
#define ALL_BELOW 0x8000

int attribute(const char *path, int attributes, int below)
{
    struct mount_changes changes = { .set = (__u64) attributes };
    return (int) syscall(SETATTR, AT_FDCWD, path, below ? ALL_BELOW : 0, &changes, sizeof changes);
}

/*
 * Of version 1 by the file of threads: entering with a whole process makes the kernel wait until no process anywhere is being started or ended, which takes 10 ms on an idle computer. This
 * one has one thread. Version 2 has no such file for ordinary groups.
 */
static void enter(const char *group)
{
    char path[4096];
    if (strlen(group) > sizeof path - sizeof "/cgroup.procs") die("%s", group);
    snprintf(path, sizeof path, "%s/tasks", group);
    if (access(path, F_OK) != 0) snprintf(path, sizeof path, "%s/cgroup.procs", group);
    put(path, "0");
}

char **step_aside(char **args, int namespaces)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    /* Before anything else is done: what cannot be counted is not started. */
    for (; args[0] && args[1] && strcmp(args[0], "--group") == 0; args += 2) enter(args[1]);
    if (unshare(CLONE_NEWNS | namespaces) != 0) {
        /* Root of a container may lack the right, and ordinary users do; both get it in a namespace of their own. */
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS | namespaces) != 0) die("namespaces");
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", "%u %u 1", uid, uid);
        put("/proc/self/gid_map", "%u %u 1", gid, gid);
    }
    /* The host's mounts stay the host's: nothing that is done here is seen there. What the host lets go of meanwhile is let go of here. */
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) die("mounts");
    /* What cannot be let go of stays: no cage rests on this. */
    for (; args[0] && args[1] && strcmp(args[0], "--gone") == 0; args += 2) syscall(SYS_umount2, args[1], MNT_DETACH | UMOUNT_NOFOLLOW);
    return args;
}

/* Whether the mount that it lies on is read-only. */
static int is_read_only(const char *path)
{
    struct statfs found;
    return syscall(SYS_statfs, path, &found) == 0 && (found.f_flags & ST_RDONLY) != 0;
}

/*
 * In a cage of real root the nodes of /dev belong to who runs there, and one chmod of /dev/null would be felt by the whole computer. Bubblewrap can make a
 * mount read-only, but closes devices with it; so the mounts that it takes them from are read-only already.
 */
int devices(char **args)
{
    char **at = step_aside(args, 0);
    /* All at once where the kernel can (Linux 5.12); whether it did is looked at for each. */
    attribute("/dev", READ_ONLY | NOSUID, 0);
    for (; *at && strcmp(*at, "--") != 0; at++) {
        if (access(*at, F_OK) != 0 || is_read_only(*at)) continue;
        if (mount(*at, *at, NULL, MS_BIND, NULL) != 0) die("%s", *at);
        if (mount(NULL, *at, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL) != 0) die("%s", *at);
    }
    errno = 0;
    if (!*at || !at[1]) die("no program");
    execv(at[1], at + 1);
    die("%s", at[1]);
}
