/*
 * message.h: one message with descriptors over a SOCK_SEQPACKET socket, unix(7). The only place that knows SCM_RIGHTS.
 */
#ifndef TARE_STAGE_MESSAGE_H
#define TARE_STAGE_MESSAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#define MESSAGE_MAX_FDS 3

/* 0, or an errno. Never raises SIGPIPE. `flags` as sendmsg(2) has them. */
int message_send(int socket, const struct iovec *parts, size_t count, const int *fds, size_t fd_count, int flags);

/* The message's size, 0 at the end of the connection, or -errno; EMSGSIZE when it is longer than `size`. The first
 * descriptor that came goes to *fd (else -1), close-on-exec; any others are closed. */
ssize_t message_receive(int socket, void *data, size_t size, int *fd);

#endif
