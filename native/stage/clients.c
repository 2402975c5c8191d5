/*
 * clients.c: accepts, checks SO_PEERCRED (unix(7)), and answers one request at a time. All clients are in the array
 * that poll is given, at the same index; -1 is a free place, which poll passes over.
 */
#include "clients.h"
#include "message.h"
#include "protocol.h"
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct client {
    int fd;
    uint32_t version; /* 0: has not said hello */
};

static int listener = -1;
static struct client clients[CLIENTS_MAX];

static void accept_client(void);
static bool serve(struct client *client, pid_t pid, int pidfd);
static struct sup_answer answer_to(struct client *client, const struct sup_request *request, pid_t pid, int pidfd);
static uint32_t choose_version(const struct sup_request *request);

void clients_open(int listening)
{
    listener = listening;
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        clients[i].fd = -1;
}

unsigned clients_poll(struct pollfd *polled)
{
    bool free_place = false;
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        free_place = free_place || clients[i].fd < 0;
        polled[1 + i] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
    }
    /* Who comes when all places are taken waits in the backlog. */
    polled[0] = (struct pollfd){ .fd = free_place ? listener : -1, .events = POLLIN };
    return CLIENTS_POLLED;
}

void clients_serve(const struct pollfd *polled, pid_t pid, int pidfd)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (polled[1 + i].revents && !serve(&clients[i], pid, pidfd)) {
            close(clients[i].fd);
            clients[i].fd = -1;
        }
    if (polled[0].revents)
        accept_client();
}

static void accept_client(void)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        /* The client has gone (ECONNABORTED), or this is no listening socket and never will be. */
        if (errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP || errno == EBADF)
            listener = -1;
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || (peer.uid != geteuid() && peer.uid != 0)) {
        close(fd);
        return;
    }
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (clients[i].fd < 0) {
            clients[i] = (struct client){ .fd = fd };
            return;
        }
    close(fd);
}

/* False: the client is to be dropped. */
static bool serve(struct client *client, pid_t pid, int pidfd)
{
    static const int stdio[] = { 0, 1, 2 };
    struct sup_request request;
    ssize_t size = recv(client->fd, &request, sizeof request, MSG_TRUNC); /* descriptors sent along are not received */
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (size != sizeof request || (client->version == 0 && request.type != SUP_HELLO))
        return false;
    struct sup_answer answer = answer_to(client, &request, pid, pidfd);
    struct iovec part = { &answer, sizeof answer };
    bool with_stdio = request.type == SUP_STDIO && answer.error == 0;
    return message_send(client->fd, &part, 1, stdio, with_stdio ? 3 : 0, 0) == 0 && client->version != 0;
}

static struct sup_answer answer_to(struct client *client, const struct sup_request *request, pid_t pid, int pidfd)
{
    struct sup_answer answer = { .type = request->type, .version = client->version, .pid = pid };
    switch (request->type) {
    case SUP_HELLO:
        answer.version = client->version = choose_version(request);
        answer.error = client->version == 0 ? EPROTONOSUPPORT : 0;
        break;
    case SUP_SIGNAL:
        if (syscall(SYS_pidfd_send_signal, pidfd, request->value, NULL, 0) < 0)
            answer.error = errno;
        break;
    case SUP_STATUS:
        answer.running = 1; /* when it has ended, so has this socket: STATE/exit says how */
        break;
    case SUP_STDIO:
        break;
    default:
        answer.error = ENOSYS;
    }
    return answer;
}

static uint32_t choose_version(const struct sup_request *request)
{
    uint32_t highest = request->max < SUPERVISOR_MAX ? request->max : SUPERVISOR_MAX;
    uint32_t lowest = request->min > SUPERVISOR_MIN ? request->min : SUPERVISOR_MIN;
    return highest >= lowest ? highest : 0;
}
