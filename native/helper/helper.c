/*
 * What a cage needs to have done from the inside, or from between the host and bubblewrap. One small static program, because
 * whatever runs before the cage's own program adds to every call, and because there is no library in there to load.
 *
 *   helper inside OPTIONS -- PROGRAM ARGS…    as the cage's first process: limits, Landlock, the relay; then starts PROGRAM and stays
 *   helper overlay OPTIONS -- BWRAP ARGS…     around bubblewrap: a copy-on-write view of a folder; stays until it is told to go
 *   helper devices [--group FOLDER]… [--gone FOLDER]… NODES… -- COMMAND…
 *                                             for root, around all others: enters control groups; lets go of mounts that the cage has nothing of, which bubblewrap would read
 *                                             again and again; what these nodes are cannot be changed, only what is read and written
 *   helper standby [--group FOLDER]… [--gone FOLDER]… --root FOLDER OPTIONS -- BWRAP ARGS…
 *                                             around bubblewrap: makes of a cage what is the same whatever it is for, and starts bubblewrap, which waits for its options
 *   helper user-namespace                     prints "made" or "refused": whether what runs here could have privileges of its own
 *   helper landlock-abi                       prints the kernel's Landlock version, or 0
 *
 * It is told everything by its arguments, reads no environment and no file, and ends with 125 and one line on standard error where it
 * cannot do all that it was told: half a cage is none.
 *
 * inside.c and relay.c are what it does in a cage, outside.c what it does around one, standby.c what it does before there is one; system.c is the C library: no more of it than is called here.
 */
#define _GNU_SOURCE
#include "helper.h"
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void die(const char *format, ...)
{
    char text[1024];
    int number = errno;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (number) dprintf(STDERR_FILENO, "noctem-helper: %s: %s\n", text, strerror(number));
    else dprintf(STDERR_FILENO, "noctem-helper: %s\n", text);
    exit(FAILED);
}

/* Digits alone, to the first of `ends`; null where there are none, or too many. */
static const char *digits(const char *text, char ends, unsigned long *value)
{
    const char *at = text;
    for (*value = 0; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, (unsigned long) (*at - '0'), value)) return NULL;
    return at > text && *at == ends ? at : NULL;
}

long number(const char *text)
{
    unsigned long value;
    errno = 0;
    if (!digits(text, '\0', &value) || value > LONG_MAX) die("not a number: %s", text);
    return (long) value;
}

int look(int folder, const char *path, int flags, struct stat *found) { return (int) syscall(SYS_newfstatat, folder, path, found, flags); }

void expect_same(const char *text)
{
    char path[4096];
    unsigned long dev, ino;
    const char *colon = strrchr(text, ':'), *first = colon;
    errno = 0;
    while (first && first > text && *--first != ':') { }
    if (!first || first == text || first - text >= (long) sizeof path || !digits(first + 1, ':', &dev) || !digits(colon + 1, '\0', &ino))
        die("not PATH:DEV:INO");
    memcpy(path, text, (size_t) (first - text));
    path[first - text] = '\0';
    struct stat found;
    if (look(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &found) != 0) die("%s", path);
    errno = 0;
    if (found.st_dev != dev || found.st_ino != ino) die("%s is not what it was a moment ago", path);
}

int limits(int resource, const struct rlimit *next, struct rlimit *now) { return (int) syscall(SYS_prlimit64, 0, resource, next, now); }

int main(int count, char **args)
{
    struct sigaction ordinary = { .sa_handler = SIG_DFL };
    sigaction(SIGPIPE, &ordinary, NULL);
    if (count >= 2 && strcmp(args[1], "inside") == 0) return inside(args + 2);
    if (count >= 2 && strcmp(args[1], "overlay") == 0) return overlay(args + 2);
    if (count == 2 && strcmp(args[1], "landlock-abi") == 0) return dprintf(STDOUT_FILENO, "%d\n", landlock_abi()) < 0;
    if (count >= 2 && strcmp(args[1], "devices") == 0) return devices(args + 2);
    if (count >= 2 && strcmp(args[1], "standby") == 0) return standby(args + 2);
    if (count == 2 && strcmp(args[1], "user-namespace") == 0) return dprintf(STDOUT_FILENO, unshare(CLONE_NEWUSER) == 0 ? "made\n" : "refused\n") < 0;
    errno = 0;
    die("inside, overlay, devices, standby, user-namespace or landlock-abi");
    return FAILED;
}
