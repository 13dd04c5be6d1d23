/* The relay: 127.0.0.1:PORT in a cage leads to the proxy's socket on the host. */
#define _GNU_SOURCE
#include "helper.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define PAIRS 128
#define BLOCK 65536

struct flow { char bytes[BLOCK]; size_t from, to; int ended, shut; };
struct pair { int fd[2]; struct flow *flow[2]; };

static struct flow *flow_open(void)
{
    long at = syscall(SYS_mmap, NULL, sizeof(struct flow), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
    return at == -1 ? NULL : (struct flow *) at;
}
static void flow_close(struct flow *flow) { if (flow) syscall(SYS_munmap, flow, sizeof *flow); }

static void pair_close(struct pair *pair)
{
    for (int i = 0; i < 2; i++) { close(pair->fd[i]); flow_close(pair->flow[i]); }
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
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof address) != 0) { if (fd >= 0) close(fd); return -1; }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int listen_on(long port)
{
    /* Both processors that it is built for begin with the lowest byte, the network with the highest. */
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = __builtin_bswap16((unsigned short) port), .sin_addr = { __builtin_bswap32(INADDR_LOOPBACK) },
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0) die("relay");
    if (bind(fd, (struct sockaddr *) &address, sizeof address) != 0 || listen(fd, PAIRS) != 0) die("relay on port %ld", port);
    return fd;
}

/* `leash`: at its end when whoever holds the other end wants this to end. */
static void relay(int listener, int leash, const char *path)
{
    static struct pair pairs[PAIRS];
    for (int i = 0; i < PAIRS; i++) pairs[i].fd[0] = pairs[i].fd[1] = -1;
    /* As many as there are descriptors for: a connection that cannot be taken would be reported for ever. */
    struct rlimit files;
    int most = limits(RLIMIT_NOFILE, NULL, &files) == 0 && files.rlim_cur < 2 * PAIRS + 16 ? ((int) files.rlim_cur - 16) / 2 : PAIRS;
    for (;;) {
        /* Those in use alone: the kernel refuses a longer list than there may be descriptors. */
        struct pollfd polls[2 + 2 * PAIRS];
        short seen[PAIRS][2] = { 0 }, *told[2 + 2 * PAIRS];
        nfds_t count = 2;
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
        polls[1] = (struct pollfd) { .fd = leash };
        if (poll(polls, count, -1) < 0) {
            if (errno != EINTR) exit(FAILED);
            continue;
        }
        if (polls[1].revents) exit(0);
        for (nfds_t at = 2; at < count; at++) *told[at] = polls[at].revents;
        if (polls[0].revents & POLLIN) {
            int near = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            int far = near < 0 ? -1 : dial(path);
            struct flow *there = flow_open(), *back = flow_open();
            if (near < 0 || far < 0 || !there || !back) {
                if (near >= 0) close(near);
                if (far >= 0) close(far);
                flow_close(there);
                flow_close(back);
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

/* The end that stays. */
static int leash = -1;

/* Listening before the program runs, so that its first connection finds somebody. */
void relay_start(long port, const char *path)
{
    int listener = listen_on(port), ends[2];
    if (syscall(SYS_pipe2, ends, O_CLOEXEC) != 0) die("relay");
    pid_t parent = getpid(), child = fork();
    if (child < 0) die("relay");
    if (child > 0) { close(listener); close(ends[0]); leash = ends[1]; return; }
    close(ends[1]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) exit(FAILED);
    /* Nobody's memory to write: it has no Landlock fence, because it reaches the socket. */
    if (prctl(PR_SET_DUMPABLE, 0) != 0) exit(FAILED);
    /* Not the program's output: a pipe is at its end only when nobody holds it. */
    int nothing = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) dup2(nothing, fd);
    relay(listener, ends[0], path);
}

/* It is outside of the fence that signals do not cross (Landlock's scopes), so no signal reaches it from where this is called. */
void relay_end(void)
{
    if (leash >= 0) close(leash);
    leash = -1;
}
