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
void relay_end(void);
int overlay(char **args);
int devices(char **args);
/*
 * How everything around a cage begins: enters the control groups that `args` begins with, gets mounts of its own, and `namespaces`, and lets go of mounts that it names. Returns where words of another
 * kind begin.
 */
char **step_aside(char **args, int namespaces);
/* mount_setattr(2), which cannot take an attribute away; `below`: of what is mounted in it too. */
int attribute(const char *path, int attributes, int below);
#define READ_ONLY 1
#define NOSUID 2
#define NODEV 4
#define NOEXEC 8

int standby(char **args);
/* Descriptors of a cage that stands ready are all below this. */
#define STANDBY_DESCRIPTORS 16
char **standby_words(char **args);
void standby_begins(void);
void standby_ended(int code);
