/*
 * steps_net.c: netlink(7) requests, made by TypeScript, sent one by one. Each has NLM_F_ACK (the decoder saw to it), so
 * the kernel answers each with an NLMSG_ERROR message: 0, or the errno that fails the step.
 */
#include "steps.h"
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int request(struct call *call, int socket, const uint8_t *message, uint32_t size, uint32_t sequence);
static int await_acknowledgement(struct call *call, int socket, uint32_t sequence);

int step_netlink(struct call *call)
{
    struct span messages = bytes_at(call, 1);
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)number_at(call, 0));
    if (netlink < 0)
        return done_by(call, "socket", -1);
    int error = 0;
    while (messages.size > 0 && error == 0) {
        struct nlmsghdr header;
        memcpy(&header, messages.at, sizeof header);
        error = request(call, netlink, messages.at, header.nlmsg_len, header.nlmsg_seq);
        uint32_t step = NLMSG_ALIGN(header.nlmsg_len);
        step = step > messages.size ? messages.size : step;
        messages.at += step;
        messages.size -= step;
    }
    close(netlink);
    return error;
}

static int request(struct call *call, int socket, const uint8_t *message, uint32_t size, uint32_t sequence)
{
    if (send(socket, message, size, 0) < 0)
        return done_by(call, "send", -1);
    return await_acknowledgement(call, socket, sequence);
}

/* Other messages (an answer to a request for data, a part of a multipart one) come before and are passed over. */
static int await_acknowledgement(struct call *call, int socket, uint32_t sequence)
{
    union {
        struct nlmsghdr header;
        char bytes[8192];
    } answer;
    for (;;) {
        ssize_t size = recv(socket, &answer, sizeof answer, 0);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return done_by(call, "recv", -1);
        size_t left = (size_t)size;
        for (struct nlmsghdr *header = &answer.header; left >= sizeof *header;) {
            if (header->nlmsg_len < sizeof *header || header->nlmsg_len > left)
                break;
            if (header->nlmsg_type == NLMSG_ERROR && header->nlmsg_seq == sequence && header->nlmsg_len >= sizeof *header + sizeof(int)) {
                int error;
                memcpy(&error, header + 1, sizeof error);
                return -error;
            }
            size_t step = NLMSG_ALIGN(header->nlmsg_len);
            if (step >= left)
                break;
            left -= step;
            header = (void *)((char *)header + step);
        }
    }
}
