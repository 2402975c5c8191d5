/*
 * plans.c: a plan that the host encoded, run by the guest's own stage: gathered in a sealed memfd, started as
 * native/stage/protocol.h says, its reports relayed as they are, one DATA frame each, the lane in the frame's flags.
 */
#include "agent.h"
#include "../stage/protocol.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_REPORT_FDS 4

void plan_open(struct channel *c, bool trace) {
    c->input = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    c->input_direct = true;
    c->error = trace; /* kept here until the plan is complete */
    if (c->input < 0)
        channel_end(c, -1, (uint32_t)errno);
}

/* How many lanes it asks for; stage itself judges the rest. */
static uint32_t lanes_of(int plan) {
    struct plan_header header;
    if (pread(plan, &header, sizeof header, 0) != sizeof header || memcmp(header.magic, PLAN_MAGIC, sizeof header.magic) != 0)
        return 0;
    return header.lanes <= PLAN_MAX_LANES ? header.lanes : 0;
}

void plan_start(struct channel *c) {
    bool trace = c->error != 0;
    int plan = c->input, null = open("/dev/null", O_RDWR | O_CLOEXEC), error = 0;
    int fds[FD_LANES + PLAN_MAX_LANES] = {null, null, null, -1, plan};
    uint32_t lanes = lanes_of(plan);
    c->error = 0;
    c->input = -1;
    c->status = -1;
    if (lanes == 0 || c->received > PLAN_MAX_SIZE)
        error = EINVAL;
    else if (fcntl(plan, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        error = errno;
    int count = FD_PLAN + 1;
    for (uint32_t lane = 0; !error && lane < lanes; lane++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
            error = errno;
            break;
        }
        c->sources[lane] = (struct source){.fd = pair[0], .stream = (uint8_t)lane};
        fds[lane == 0 ? FD_CONTROL : count++] = pair[1];
    }
    char *argv[] = {(char *)settings.stage, "run", trace ? "--trace" : NULL, NULL};
    char *env[] = {NULL};
    struct launch l = {.argv = argv, .env = env, .cwd = "/", .fds = fds, .fd_count = count};
    pid_t pid = error ? -1 : launch(&l, &error);
    if (fds[FD_CONTROL] >= 0)
        close(fds[FD_CONTROL]);
    for (int i = FD_LANES; i < count; i++)
        close(fds[i]);
    close(plan);
    close(null);
    if (pid < 0) {
        channel_end(c, -1, (uint32_t)error);
        return;
    }
    c->pid = pid;
    uint32_t number = (uint32_t)pid;
    port_send(FRAME_STARTED, 0, c->id, &number, sizeof number);
}

ssize_t plan_report(struct channel *c, int fd, uint8_t *data, size_t size) {
    union { struct cmsghdr head; char bytes[CMSG_SPACE(MAX_REPORT_FDS * sizeof(int))]; } control;
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n <= 0)
        return n;
    /* Descriptors cannot leave the machine. */
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        int received[MAX_REPORT_FDS];
        memcpy(received, CMSG_DATA(h), count * sizeof(int));
        for (size_t i = 0; i < count; i++)
            close(received[i]);
    }
    /* Nobody here can answer a call; saying so fails the step with a clear error instead of waiting for ever. */
    const struct report *report = (const struct report *)data;
    if ((size_t)n >= sizeof *report && report->type == REPORT_CALL) {
        struct reply reply = {.type = REPLY_ANSWER, .error = ENOSYS};
        if (send(fd, &reply, sizeof reply, MSG_NOSIGNAL) < 0 && c->sources[0].fd == fd)
            kill(c->pid, SIGKILL);
    }
    return n;
}
