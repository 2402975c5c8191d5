/*
 * stage.h: what a process of stage knows about itself. stage has one thread and runs one lane; the child of a clone step
 * is a copy that goes on with its own lane, so one global value, changed at the clone, holds it all.
 */
#ifndef TARE_STAGE_STAGE_H
#define TARE_STAGE_STAGE_H
#include "plan.h"
#include <sys/types.h>

enum mode { MODE_QUIET, MODE_TRACE, MODE_STEP };

/* Shared by all lanes: the children that stage kills when the plan fails, as pids of stage's own pid namespace. */
struct children {
    pid_t pid[PLAN_MAX_LANES]; /* 0: not started, or in a pid namespace whose end comes with another's */
};

struct stage {
    struct plan plan;
    enum mode mode;
    unsigned lane;
    int slot[PLAN_MAX_SLOTS];                    /* descriptors and pids; -1: empty */
    int control[PLAN_MAX_LANES];                 /* report sockets; -1: another process has it */
    int peer[PLAN_MAX_LANES][PLAN_MAX_LANES];    /* peer[a][b]: lane a's end of its socket with b; -1: not held */
    int parent;                                  /* pidfd of the process whose death is this one's */
    bool death_signal_by_plan;                   /* a prctl step has set PR_SET_PDEATHSIG: not to be touched again */
    bool other_pidns, children_other_pidns;      /* the pids that clone gives (to its children) are not of stage's namespace */
    uint64_t early_signals;                      /* a mask: REPLY_SIGNAL that came before supervise */
    struct children *children;
};

extern struct stage self;

/* Exit codes of stage and its lanes, as Docker has them. */
#define EXIT_OWN_FAILURE 125
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

#endif
