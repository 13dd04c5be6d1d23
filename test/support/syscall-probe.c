/*
 * Makes every system call of x86-64 once, each in a process of its own, and prints what came of it: NUMBER WORDS. All six arguments are the one given, so
 * that a filter that looks at arguments can be asked about the same. Calls by the x32 numbers and by int 0x80 come at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAST 470
#define X32 0x40000000L
/* Milliseconds; what takes longer waits for something. */
#define PATIENCE 150

static long call(long number, long a)
{
    long result;
    register long r10 __asm__("r10") = a, r8 __asm__("r8") = a, r9 __asm__("r9") = a;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(a), "d"(a), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return result;
}

static long call_32(long number)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0L), "c"(0L), "d"(0L) : "memory", "r8", "r9", "r10", "r11");
    return (int) result;
}

static void one(const char *name, long number, long a, int entry)
{
    int ends[2];
    if (pipe(ends) != 0) exit(1);
    pid_t child = fork();
    if (child < 0) exit(1);
    if (child == 0) {
        pid_t me = getpid();
        long result = entry ? call_32(number) : call(number, a);
        /* A copy of this process that a call made says nothing. */
        if (result == 0 && syscall(SYS_getpid) != me) syscall(SYS_exit, 0);
        if (write(ends[1], &result, sizeof result) != sizeof result) syscall(SYS_exit, 99);
        syscall(SYS_exit_group, 0);
    }
    close(ends[1]);
    struct pollfd answer = { .fd = ends[0], .events = POLLIN };
    long result = 0;
    int ready = poll(&answer, 1, PATIENCE), got = ready > 0 && read(ends[0], &result, sizeof result) == sizeof result, status;
    close(ends[0]);
    if (ready == 0) kill(child, SIGKILL);
    if (waitpid(child, &status, 0) != child) exit(1);
    if (got) printf(result < 0 && result > -4096 ? "%s errno %ld\n" : "%s ok\n", name, -result);
    else if (ready == 0) printf("%s waits\n", name);
    else if (WIFSIGNALED(status)) printf("%s killed %d\n", name, WTERMSIG(status));
    else printf("%s ended %d\n", name, WEXITSTATUS(status));
    fflush(stdout);
}

int main(int count, char **args)
{
    long a = count > 1 ? strtol(args[1], NULL, 10) : 0;
    char name[32];
    signal(SIGPIPE, SIG_IGN);
    for (long number = 0; number <= LAST; number++) {
        snprintf(name, sizeof name, "%ld", number);
        one(name, number, a, 0);
    }
    one("x32", X32 | SYS_getpid, a, 0);
    one("i386", 20, a, 1);
    return 0;
}
