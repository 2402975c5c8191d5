/*
 * steps.h: one small function for each kind of steps.def, step_KIND. It makes the system call with the step's operands,
 * leaves what it produced in `out`, and answers 0 or an errno. Every descriptor that it makes is close-on-exec.
 */
#ifndef TARE_STAGE_STEPS_H
#define TARE_STAGE_STEPS_H
#include "stage.h"
#include <errno.h>

struct call {
    const struct plan_step *step;
    uint32_t number;          /* of the step in its lane */
    int out[STEP_MAX_OUTPUTS];/* -1: nothing */
    const char *failed;       /* the system call that failed, where it is not named as the kind is */
};

#define STEP(kind, inputs, input_names, outputs, output_names, what) int step_##kind(struct call *call);
#include "steps.def"
#undef STEP

/* The operands, by position. An empty slot reads as -1, which the kernel answers with EBADF; so does SLOT_NONE. */
static inline int fd_at(const struct call *call, unsigned input)
{
    int64_t slot = (int64_t)call->step->input[input];
    return slot >= 0 ? self.slot[slot] : (int)slot; /* SLOT_CWD is AT_FDCWD */
}

static inline bool is_none(const struct call *call, unsigned input)
{
    return (int64_t)call->step->input[input] == SLOT_NONE;
}

static inline uint64_t number_at(const struct call *call, unsigned input)
{
    return call->step->input[input];
}

static inline const char *string_at(const struct call *call, unsigned input)
{
    return (const char *)plan_span(&self.plan, call->step->input[input]).at;
}

static inline struct span bytes_at(const struct call *call, unsigned input)
{
    return plan_span(&self.plan, call->step->input[input]);
}

/* Where the kernel takes NULL for nothing, a plan says "". */
static inline const char *string_or_null(const struct call *call, unsigned input)
{
    const char *text = string_at(call, input);
    return *text ? text : NULL;
}

/* What a system call answered, as the step's own answer. */
static inline int done(long result)
{
    return result < 0 ? errno : 0;
}

static inline int done_by(struct call *call, const char *name, long result)
{
    if (result < 0)
        call->failed = name;
    return done(result);
}

/* The same for a call that makes a descriptor. */
static inline int gives(struct call *call, long fd)
{
    call->out[0] = fd < 0 ? -1 : (int)fd;
    return done(fd);
}

#endif
