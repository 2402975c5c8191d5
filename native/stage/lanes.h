/*
 * lanes.h: the processes of a plan. Every two lanes that talk have a socket pair, made before the first clone; each
 * process keeps only the ends of its own lane and of the lanes that it has yet to start, so that a lane's end is
 * seen by those who wait for it. No lane outlives stage, and stage leaves no lane behind when the plan fails.
 */
#ifndef TARE_STAGE_LANES_H
#define TARE_STAGE_LANES_H
#include "protocol.h"

/* Makes the sockets. 0, or an errno. */
int lanes_open(void);

/* After the clone of `lane`: the child becomes it, the cloning process gives up its ends. */
void lane_become(unsigned lane, uint64_t flags, int parent);
void lane_let_go(unsigned lane);

/* (Again) asks for SIGKILL at the parent's death; ends the process if that death has been. */
void lane_follow_parent(void);

/* 0, or an errno: ECANCELED when the other lane has ended (or will not start), EPROTO when it posts another token. */
int lane_post(unsigned lane, uint64_t token, int fd);
int lane_wait(unsigned lane, uint64_t token, int *fd);

/* Until the other lane's end of the line is closed, by its exec or its end. 0, or an errno. */
int lane_await_end(unsigned lane);

/* The end of a lane whose plan failed: with it go, when it is the outside lane, all others. */
_Noreturn void lane_fail(int status);
/* The same, when TypeScript has left or said so. */
_Noreturn void abandon(void);

/* stage changes no disposition after its start, so that before an exec only the mask has to be restored. */
void signals_default(void);
void signals_unblock(void);

#endif
