/*
 * supervise.h: what stage is for the rest of its container's life: it forwards signals, reaps, answers the supervisor's
 * socket, and writes how the container ended. TypeScript may leave, come back by the socket, or never come back.
 */
#ifndef TARE_STAGE_SUPERVISE_H
#define TARE_STAGE_SUPERVISE_H
#include <stdint.h>
#include <sys/types.h>

/* Ends the process with the container's exit code, or 128 and the number of the signal that ended it. Returns only an
 * errno, when it cannot begin. `state` and `listener` are descriptors, or -1. */
int supervise(pid_t pid, int state, int listener, uint32_t step, const char **failed);

#endif
