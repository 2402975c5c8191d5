/*
 * steps_lanes.c: what a lane says to the others and to TypeScript.
 */
#include "lanes.h"
#include "report.h"
#include "steps.h"
#include "supervise.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

int step_post(struct call *call)
{
    return lane_post((unsigned)number_at(call, 0), number_at(call, 1), fd_at(call, 2));
}

int step_wait(struct call *call)
{
    return lane_wait((unsigned)number_at(call, 0), number_at(call, 1), &call->out[0]);
}

int step_call(struct call *call)
{
    report(REPORT_CALL, call->number, 0, 0, string_at(call, 0), fd_at(call, 1));
    struct reply answer = reply_await(REPLY_ANSWER, &call->out[0]);
    if (answer.error == 0)
        return 0;
    if (call->out[0] >= 0)
        close(call->out[0]);
    call->out[0] = -1;
    return answer.error > 0 && answer.error <= 4095 ? answer.error : EPROTO;
}

int step_await_exec(struct call *call)
{
    return lane_await_end((unsigned)number_at(call, 0));
}

/*
 * A process 1 gets no signal that it has no handler for, so that a container could not be asked to end before it is started: these end it
 * while it waits. What comes with the connection is for the program.
 */
static int wait_until_readable(int fd)
{
    sigset_t ending, before;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGHUP);
    sigaddset(&ending, SIGQUIT);
    sigprocmask(SIG_BLOCK, &ending, &before);
    int signals = signalfd(-1, &ending, SFD_CLOEXEC);
    if (signals < 0)
        return -1;
    struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
    int ready;
    do
        ready = poll(fds, 2, -1);
    while (ready < 0 && errno == EINTR);
    struct signalfd_siginfo info;
    if (ready > 0 && !fds[0].revents && read(signals, &info, sizeof info) == sizeof info)
        _exit(128 + (int)info.ssi_signo);
    close(signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ready < 0 ? -1 : 0;
}

/* Whoever may reach the socket's directory may start the container. From here on the lane reports to them; nobody else can connect. */
int step_await_start(struct call *call)
{
    int listener = fd_at(call, 0);
    int flags = fcntl(listener, F_GETFL);
    if (flags < 0 || fcntl(listener, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return done_by(call, "fcntl", -1);
    if (wait_until_readable(listener) < 0)
        return done_by(call, "poll", -1);
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return done_by(call, "accept4", -1);
    close(listener);
    for (uint32_t i = 0; i < self.plan.header->slots; i++)
        if (self.plan.slot_letter[i] == 'd' && self.slot[i] == listener)
            self.slot[i] = -1;
    if (self.control[self.lane] >= 0)
        close(self.control[self.lane]);
    self.control[self.lane] = connection;
    report(REPORT_HELLO, call->number, 0, PLAN_VERSION, NULL, -1);
    return 0;
}

int step_give(struct call *call)
{
    int fd = fd_at(call, 1);
    if (fd < 0)
        return EBADF;
    report(REPORT_GIVE, call->number, 0, 0, string_at(call, 0), fd);
    return 0;
}

int step_supervise(struct call *call)
{
    int pid = fd_at(call, 0);
    if (pid <= 0)
        return ESRCH;
    return supervise(pid, fd_at(call, 1), fd_at(call, 2), call->number, &call->failed);
}
