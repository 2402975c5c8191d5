/*
 * steps_lanes.c: what a lane says to the others and to TypeScript.
 */
#include "lanes.h"
#include "report.h"
#include "steps.h"
#include "supervise.h"
#include <fcntl.h>
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

/* Whoever may reach the socket's directory may start the container. From here on the lane reports to them; nobody else can connect. */
int step_await_start(struct call *call)
{
    int listener = fd_at(call, 0);
    int flags = fcntl(listener, F_GETFL);
    if (flags < 0 || fcntl(listener, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return done_by(call, "fcntl", -1);
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
