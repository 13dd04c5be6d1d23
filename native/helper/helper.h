/* What the parts of the helper share: how it says that it cannot, numbers, and what a path is. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define FAILED 125

/* One line on standard error, with the kernel's word for `errno` unless that is 0; and the end. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
/* Digits and nothing else. */
long number(const char *text);
/* stat(2), of a path from a folder on, or of the descriptor itself. */
int look(int folder, const char *path, int flags, struct stat *found);
/* PATH:DEV:INO. What was looked at is what is here: a folder swapped for another between the look and the mount ends it. */
void expect_same(const char *text);
/* prlimit(2) of this process. */
int limits(int resource, const struct rlimit *next, struct rlimit *now);

int inside(char **args);
int landlock_abi(void);
/* Returns where the program is to be started; the relay lives on beside it. */
void relay_start(long port, const char *path);
int overlay(char **args);
int devices(char **args);
