/*
 * What the helper uses of a C library, and nothing else: system calls, a few words about strings, and text with numbers in it. A static program with glibc in
 * it is 800 KB, and setting that up takes the kernel and the library 0.35 ms at each start; one of a few pages takes 0.1. A caged call starts it two or three times.
 *
 * Declared by the system's own headers, so that helper.c is ordinary C. Linux on x86-64 and aarch64; one thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int last_error;
int *__errno_location(void) { return &last_error; }

char **environ;
int main(int count, char **args);

/* ---- into the kernel and out of it ---- */

#if defined(__x86_64__)
static long enter(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return number;
}
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
/* The kernel comes back from a handler by way of this. */
__asm__("come_back: mov $15, %eax\n syscall\n");
void come_back(void);
#define RESTORER 0x04000000UL
#elif defined(__aarch64__)
static long enter(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
__asm__(".globl _start\n_start: mov x29, #0\n mov x30, #0\n mov x0, sp\n and sp, x0, #-16\n b begin\n");
/* The kernel's own. */
#define come_back NULL
#define RESTORER 0UL
#else
#error "no system calls for this processor"
#endif

static long call(long number, long a, long b, long c, long d, long e, long f)
{
    long result = enter(number, a, b, c, d, e, f);
    if (result >= 0 || result < -4095) return result;
    last_error = (int) -result;
    return -1;
}

#define CALL(number, a, b, c) call(number, (long) (a), (long) (b), (long) (c), 0, 0, 0)

long syscall(long number, ...)
{
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(args, long);
    va_end(args);
    return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

void _exit(int code) { for (;;) enter(SYS_exit_group, code, 0, 0, 0, 0, 0); }
/* Nothing is to be done at the end. */
void exit(int code) { _exit(code); }

/* What lies on the stack of a process that begins: how many arguments, they, NULL, the environment. */
__attribute__((used)) void begin(long *stack)
{
    char **args = (char **) (stack + 1);
    environ = args + *stack + 1;
    _exit(main((int) *stack, args));
}

int open(const char *path, int flags, ...) { return (int) call(SYS_openat, AT_FDCWD, (long) path, flags, 0, 0, 0); }
int close(int fd) { return (int) CALL(SYS_close, fd, 0, 0); }
ssize_t read(int fd, void *bytes, size_t count) { return CALL(SYS_read, fd, bytes, count); }
ssize_t write(int fd, const void *bytes, size_t count) { return CALL(SYS_write, fd, bytes, count); }
int dup2(int from, int to) { return from == to ? to : (int) CALL(SYS_dup3, from, to, 0); }
int fcntl(int fd, int what, ...)
{
    va_list args;
    va_start(args, what);
    long value = va_arg(args, long);
    va_end(args);
    return (int) CALL(SYS_fcntl, fd, what, value);
}
int access(const char *path, int how) { return (int) CALL(SYS_faccessat, AT_FDCWD, path, how); }
int mkdir(const char *path, mode_t mode) { return (int) CALL(SYS_mkdirat, AT_FDCWD, path, mode); }
int chdir(const char *path) { return (int) CALL(SYS_chdir, path, 0, 0); }
int mount(const char *from, const char *to, const char *type, unsigned long flags, const void *options)
{
    return (int) call(SYS_mount, (long) from, (long) to, (long) type, (long) flags, (long) options, 0);
}
int unshare(int what) { return (int) CALL(SYS_unshare, what, 0, 0); }
int prctl(int what, ...)
{
    long a[4];
    va_list args;
    va_start(args, what);
    for (int i = 0; i < 4; i++) a[i] = va_arg(args, long);
    va_end(args);
    return (int) call(SYS_prctl, what, a[0], a[1], a[2], a[3], 0);
}

int socket(int family, int type, int protocol) { return (int) CALL(SYS_socket, family, type, protocol); }
int connect(int fd, const struct sockaddr *to, socklen_t size) { return (int) CALL(SYS_connect, fd, to, size); }
int bind(int fd, const struct sockaddr *at, socklen_t size) { return (int) CALL(SYS_bind, fd, at, size); }
int listen(int fd, int waiting) { return (int) CALL(SYS_listen, fd, waiting, 0); }
int accept4(int fd, struct sockaddr *from, socklen_t *size, int flags)
{
    return (int) call(SYS_accept4, fd, (long) from, (long) size, flags, 0, 0);
}
int setsockopt(int fd, int level, int what, const void *value, socklen_t size)
{
    return (int) call(SYS_setsockopt, fd, level, what, (long) value, size, 0);
}
ssize_t send(int fd, const void *bytes, size_t count, int flags) { return call(SYS_sendto, fd, (long) bytes, (long) count, flags, 0, 0); }
int shutdown(int fd, int how) { return (int) CALL(SYS_shutdown, fd, how, 0); }

/* Bytes of the kernel's own set of signals: the library's is larger, and begins with it. */
#define SIGNALS 8

int poll(struct pollfd *polls, nfds_t count, int milliseconds)
{
    struct timespec most = { milliseconds / 1000, milliseconds % 1000 * 1000000L };
    return ppoll(polls, count, milliseconds < 0 ? NULL : &most, NULL);
}
int ppoll(struct pollfd *polls, nfds_t count, const struct timespec *most, const sigset_t *mask)
{
    return (int) call(SYS_ppoll, (long) polls, (long) count, (long) most, (long) mask, SIGNALS, 0);
}
int sigemptyset(sigset_t *set) { return memset(set, 0, sizeof *set) == NULL; }
int sigaddset(sigset_t *set, int number) { *(unsigned long *) set |= 1UL << (number - 1); return 0; }
int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    return (int) call(SYS_rt_sigprocmask, how, (long) set, (long) old, SIGNALS, 0, 0);
}
int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    if (old != NULL) { last_error = EINVAL; return -1; }
    struct { void (*handler)(int); unsigned long flags; void (*restorer)(void); unsigned long mask; } given =
        { action->sa_handler, (unsigned long) action->sa_flags | RESTORER, come_back, *(const unsigned long *) &action->sa_mask };
    return (int) call(SYS_rt_sigaction, number, (long) &given, 0, SIGNALS, 0, 0);
}

pid_t fork(void) { return (pid_t) call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0); }
pid_t waitpid(pid_t pid, int *status, int options) { return (pid_t) call(SYS_wait4, pid, (long) status, options, 0, 0, 0); }
int execv(const char *path, char *const args[]) { return (int) CALL(SYS_execve, path, args, environ); }
pid_t getpid(void) { return (pid_t) CALL(SYS_getpid, 0, 0, 0); }
pid_t getppid(void) { return (pid_t) CALL(SYS_getppid, 0, 0, 0); }
uid_t geteuid(void) { return (uid_t) CALL(SYS_geteuid, 0, 0, 0); }
gid_t getegid(void) { return (gid_t) CALL(SYS_getegid, 0, 0, 0); }
pid_t setsid(void) { return (pid_t) CALL(SYS_setsid, 0, 0, 0); }

/* ---- strings. The empty statement keeps a compiler from putting a call of the function in its own place. ---- */

#define BY_ITSELF __asm__ volatile("" ::: "memory")

void *memset(void *to, int byte, size_t count)
{
    for (size_t i = 0; i < count; i++) { ((char *) to)[i] = (char) byte; BY_ITSELF; }
    return to;
}
void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++) { ((char *) to)[i] = ((const char *) from)[i]; BY_ITSELF; }
    return to;
}
size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0') { length++; BY_ITSELF; }
    return length;
}
char *strrchr(const char *text, int wanted)
{
    const char *last = NULL;
    for (; *text != '\0'; text++) if (*text == wanted) last = text;
    return (char *) last;
}
int strcmp(const char *a, const char *b) { return strncmp(a, b, (size_t) -1); }
int strncmp(const char *a, const char *b, size_t most)
{
    for (; most > 0; a++, b++, most--) if (*a != *b || *a == '\0') return (unsigned char) *a - (unsigned char) *b;
    return 0;
}

/* %s, %d, %u and %ld: what the helper says. Never more than `size` bytes with the NUL; what does not fit is cut off. */
int vsnprintf(char *out, size_t size, const char *format, va_list args)
{
    size_t length = 0;
    char digits[24];
    for (; *format != '\0'; format++) {
        const char *part = digits;
        size_t count = 1;
        if (*format != '%') part = format;
        else if (*++format == 's') { part = va_arg(args, const char *); count = strlen(part); }
        else {
            int is_long = *format == 'l';
            if (is_long) format++;
            long value = is_long ? va_arg(args, long) : *format == 'u' ? (long) va_arg(args, unsigned) : (long) va_arg(args, int);
            unsigned long left = value < 0 ? 0 - (unsigned long) value : (unsigned long) value;
            char *at = digits + sizeof digits;
            do *--at = (char) ('0' + left % 10); while ((left /= 10) > 0);
            if (value < 0) *--at = '-';
            part = at;
            count = (size_t) (digits + sizeof digits - at);
        }
        for (; count > 0 && length + 1 < size; count--) out[length++] = *part++;
    }
    out[length] = '\0';
    return (int) length;
}
int snprintf(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(out, size, format, args);
    va_end(args);
    return length;
}
/* A line of it. */
int dprintf(int fd, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return (int) write(fd, text, (size_t) length);
}

/* In the words that people and other programs know. */
char *strerror(int number)
{
    static const struct { int number; const char *words; } KNOWN[] = {
        { EPERM, "Operation not permitted" }, { ENOENT, "No such file or directory" }, { EIO, "Input/output error" },
        { E2BIG, "Argument list too long" }, { ENOEXEC, "Exec format error" }, { EAGAIN, "Resource temporarily unavailable" },
        { ENOMEM, "Cannot allocate memory" }, { EACCES, "Permission denied" }, { EBUSY, "Device or resource busy" },
        { EEXIST, "File exists" }, { ENODEV, "No such device" }, { ENOTDIR, "Not a directory" }, { EINVAL, "Invalid argument" },
        { ENFILE, "Too many open files in system" }, { EMFILE, "Too many open files" }, { ETXTBSY, "Text file busy" },
        { ENOSPC, "No space left on device" }, { EROFS, "Read-only file system" }, { ENAMETOOLONG, "File name too long" },
        { ENOSYS, "Function not implemented" }, { ELOOP, "Too many levels of symbolic links" }, { EOPNOTSUPP, "Operation not supported" },
        { EADDRINUSE, "Address already in use" },
    };
    static char other[24];
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) if (KNOWN[i].number == number) return (char *) KNOWN[i].words;
    snprintf(other, sizeof other, "Error %d", number);
    return other;
}
