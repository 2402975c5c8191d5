/*
 * report.c: struct report out, struct reply in, on the lane's own SOCK_SEQPACKET socket.
 */
#include "report.h"
#include "lanes.h"
#include "message.h"
#include "stage.h"
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void send_report(struct report report, const char *name, int fd);
static struct reply receive_reply(int *fd);

void report(enum report_type type, uint32_t step, int error, int64_t value, const char *name, int fd)
{
    send_report((struct report){ .type = type, .step = step, .error = error, .value = value }, name, fd);
}

void report_done(uint32_t step, int error, int64_t skipped, uint64_t ns)
{
    send_report((struct report){ .type = REPORT_DONE, .step = step, .error = error, .value = skipped, .ns = ns }, NULL, -1);
}

struct reply reply_await(enum reply_type type, int *fd)
{
    for (;;) {
        struct reply reply = receive_reply(fd);
        if (reply.type == type)
            return reply;
        if (*fd >= 0)
            close(*fd);
    }
}

void reply_take_early(void)
{
    int fd;
    receive_reply(&fd);
    if (fd >= 0)
        close(fd);
}

static void send_report(struct report report, const char *name, int fd)
{
    report.name_size = name ? (uint32_t)strlen(name) : 0;
    struct iovec parts[] = { { &report, sizeof report }, { (void *)name, report.name_size } };
    int error = message_send(self.control[self.lane], parts, name ? 2 : 1, &fd, fd >= 0, 0);
    /* The container's own filter may refuse sendmsg to the lane that loaded it; nearly all allow writev. */
    if ((error == EPERM || error == ENOSYS) && fd < 0 && writev(self.control[self.lane], parts, name ? 2 : 1) > 0)
        error = 0;
    /* A lane that outlives stage, and so perhaps whoever traces it, goes on. */
    bool may_be_alone = report.type == REPORT_DONE && self.death_signal_by_plan;
    if (error != 0 && report.type != REPORT_FAILED && report.type != REPORT_EXITED && !may_be_alone)
        abandon();
}

/* Answers with a reply that is no abort; a signal for the time of supervision is kept. */
static struct reply receive_reply(int *fd)
{
    struct reply reply;
    ssize_t size = message_receive(self.control[self.lane], &reply, sizeof reply, fd);
    if (size != sizeof reply || reply.type == REPLY_ABORT)
        abandon();
    if (reply.type == REPLY_SIGNAL && reply.value >= 1 && reply.value <= 64)
        self.early_signals |= 1ull << (reply.value - 1);
    return reply;
}
