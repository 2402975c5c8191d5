/*
 * clients.h: the supervisor's socket (protocol.h): a few clients at a time, each of the same user or root, each beginning
 * with the versions that it speaks. A client that breaks the protocol, or does not read, is dropped.
 */
#ifndef TARE_STAGE_CLIENTS_H
#define TARE_STAGE_CLIENTS_H
#include <poll.h>
#include <sys/types.h>

#define CLIENTS_MAX 8
#define CLIENTS_POLLED (1 + CLIENTS_MAX)

/* `listener` is -1 when there is no socket. */
void clients_open(int listener);

/* Fills in what to poll for, answers how many; clients_serve takes the same array after poll. */
unsigned clients_poll(struct pollfd *polled);
void clients_serve(const struct pollfd *polled, pid_t pid, int pidfd);

#endif
