/*
 * lanes.c: sockets between lanes, and how lanes end.
 */
#include "lanes.h"
#include "message.h"
#include "report.h"
#include "stage.h"
#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void drop(int *fd);
static int await_message(unsigned lane);
static void kill_children(void);

int lanes_open(void)
{
    for (unsigned a = 0; a < PLAN_MAX_LANES; a++)
        for (unsigned b = 0; b < PLAN_MAX_LANES; b++)
            self.peer[a][b] = -1;
    for (unsigned a = 0; a < PLAN_MAX_LANES; a++)
        for (unsigned b = a + 1; b < PLAN_MAX_LANES; b++) {
            int pair[2];
            if (!self.plan.talk[a][b])
                continue;
            if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return errno;
            self.peer[a][b] = pair[0];
            self.peer[b][a] = pair[1];
        }
    return 0;
}

void lane_become(unsigned lane, uint64_t flags, int parent)
{
    signals_unblock();
    self.other_pidns = self.other_pidns || self.children_other_pidns || flags & CLONE_NEWPID;
    self.children_other_pidns = false;
    self.death_signal_by_plan = false;
    self.lane = lane;
    if (!(flags & CLONE_PARENT)) {
        close(self.parent);
        self.parent = parent;
    }
    lane_follow_parent();
    for (unsigned other = 0; other < PLAN_MAX_LANES; other++) {
        if (self.plan.family[lane] >> other & 1)
            continue;
        drop(&self.control[other]);
        for (unsigned b = 0; b < PLAN_MAX_LANES; b++)
            drop(&self.peer[other][b]);
    }
}

void lane_let_go(unsigned lane)
{
    for (unsigned other = 0; other < PLAN_MAX_LANES; other++) {
        if (!(self.plan.family[lane] >> other & 1))
            continue;
        drop(&self.control[other]);
        for (unsigned b = 0; b < PLAN_MAX_LANES; b++)
            drop(&self.peer[other][b]);
    }
}

/* A process that changes its credentials, or joins a user namespace, loses the signal (PR_SET_PDEATHSIG, prctl(2)), so it
 * is asked for again after such steps. getppid(2) cannot tell from within a pid namespace; a pidfd can. */
void lane_follow_parent(void)
{
    struct pollfd parent = { .fd = self.parent, .events = POLLIN };
    if (self.lane == 0 || self.death_signal_by_plan)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (poll(&parent, 1, 0) == 1)
        _exit(EXIT_OWN_FAILURE);
}

int lane_post(unsigned lane, uint64_t token, int fd)
{
    struct iovec part = { &token, sizeof token };
    int error = message_send(self.peer[self.lane][lane], &part, 1, &fd, fd >= 0, 0);
    return error == EPIPE || error == ECONNRESET ? ECANCELED : error;
}

int lane_wait(unsigned lane, uint64_t token, int *fd)
{
    int socket = self.peer[self.lane][lane];
    uint64_t got;
    int error = await_message(lane);
    if (error != 0)
        return error;
    ssize_t size = message_receive(socket, &got, sizeof got, fd);
    if (size == 0 || size == -ECONNRESET)
        return ECANCELED;
    if (size == sizeof got && got == token)
        return 0;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return size < 0 ? (int)-size : EPROTO;
}

int lane_await_end(unsigned lane)
{
    uint64_t got;
    int fd;
    int error = await_message(lane);
    if (error != 0)
        return error;
    ssize_t size = message_receive(self.peer[self.lane][lane], &got, sizeof got, &fd);
    if (size == 0 || size == -ECONNRESET)
        return 0;
    if (fd >= 0)
        close(fd);
    return size < 0 ? (int)-size : EPROTO;
}

/* The outside lane also listens to TypeScript, which may abort, or leave. */
static int await_message(unsigned lane)
{
    struct pollfd polled[] = { { .fd = self.peer[self.lane][lane], .events = POLLIN }, { .fd = self.control[0], .events = POLLIN } };
    if (self.peer[lane][self.lane] >= 0) /* not started yet: nobody would ever post */
        return ECANCELED;
    while (self.lane == 0) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return errno;
        if (polled[1].revents)
            reply_take_early();
        if (polled[0].revents)
            break;
    }
    return 0;
}

void lane_fail(int status)
{
    if (self.lane == 0)
        kill_children();
    _exit(status);
}

void abandon(void)
{
    lane_fail(EXIT_OWN_FAILURE);
}

void signals_default(void)
{
    for (int number = 1; number < _NSIG; number++)
        signal(number, SIG_DFL); /* EINVAL for SIGKILL, SIGSTOP and those that the C library keeps */
}

void signals_unblock(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A child of a child becomes stage's own when that one is gone (PR_SET_CHILD_SUBREAPER), hence the second round. */
static void kill_children(void)
{
    if (!self.children) /* the plan was refused, or there was none: nobody is there yet */
        return;
    for (unsigned lane = 1; lane < PLAN_MAX_LANES; lane++)
        if (self.children->pid[lane] > 0)
            kill(self.children->pid[lane], SIGKILL);
    for (unsigned round = 1; round < PLAN_MAX_LANES; round++)
        for (unsigned lane = 1; lane < PLAN_MAX_LANES; lane++)
            if (self.children->pid[lane] > 0 && waitpid(self.children->pid[lane], NULL, 0) == self.children->pid[lane])
                self.children->pid[lane] = 0;
}
