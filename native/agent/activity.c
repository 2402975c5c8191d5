/*
 * activity.c: tells the host that something happened, so that checks run when it matters instead of all the time. Processes by
 * the proc connector (netlink, <linux/cn_proc.h>; needs the initial namespaces), mounts by poll(2) of /proc/self/mountinfo
 * (proc(5): POLLERR|POLLPRI). The first event after a quiet time is told after 20 ms, a stream of them every 50 ms.
 */
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUICK_MS 20
#define STEADY_MS 50

static int processes = -1, mounts = -1;
static uint8_t what;           /* ACTIVITY_* not yet told */
static int64_t due, last_told; /* milliseconds of CLOCK_MONOTONIC */

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void subscribe(void) {
    processes = socket(PF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    /* An nlmsghdr, a cn_msg, and the one word that it carries. */
    uint8_t ask[sizeof(struct nlmsghdr) + sizeof(struct cn_msg) + sizeof(uint32_t)];
    struct nlmsghdr header = {.nlmsg_len = sizeof ask, .nlmsg_type = NLMSG_DONE};
    struct cn_msg message = {.id = {CN_IDX_PROC, CN_VAL_PROC}, .len = sizeof(uint32_t)};
    uint32_t listen = PROC_CN_MCAST_LISTEN;
    memcpy(ask, &header, sizeof header);
    memcpy(ask + sizeof header, &message, sizeof message);
    memcpy(ask + sizeof header + sizeof message, &listen, sizeof listen);
    if (processes >= 0 && (bind(processes, (struct sockaddr *)&address, sizeof address) < 0 || send(processes, ask, sizeof ask, 0) < 0)) {
        close(processes);
        processes = -1;
    }
}

void activity_begin(void) {
    subscribe();
    mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (settings.is_init && (processes < 0 || mounts < 0))
        give_up("no proc connector, or no mountinfo");
}

int activity_poll(struct pollfd *fds) {
    int count = 0;
    if (processes >= 0)
        fds[count++] = (struct pollfd){.fd = processes, .events = POLLIN};
    if (mounts >= 0)
        fds[count++] = (struct pollfd){.fd = mounts, .events = POLLPRI};
    return count;
}

static void note(uint8_t happened) {
    int64_t t = now();
    if (what == 0) {
        due = t + QUICK_MS;
        if (due < last_told + STEADY_MS)
            due = last_told + STEADY_MS;
    }
    what |= happened;
}

void activity_serve(const struct pollfd *fds, int count) {
    for (int i = 0; i < count; i++) {
        if (fds[i].revents == 0)
            continue;
        if (fds[i].fd == mounts) {
            note(ACTIVITY_MOUNTS);
            continue;
        }
        /* What happened does not matter, only that it did; ENOBUFS says that even more did. */
        uint8_t event[1024];
        ssize_t n;
        while ((n = recv(processes, event, sizeof event, 0)) > 0 || (n < 0 && (errno == ENOBUFS || errno == EINTR)))
            note(ACTIVITY_PROCESSES);
    }
}

int activity_timeout(void) {
    if (what == 0)
        return -1;
    int64_t left = due - now();
    return left > 0 ? (int)left : 0;
}

void activity_tell(void) {
    if (what == 0 || activity_timeout() > 0 || !port_has_room())
        return;
    port_send(FRAME_ACTIVITY, what, 0, NULL, 0);
    what = 0;
    last_told = now();
}
