/*
 * steps_schedule.c: how the process is scheduled, and what it takes the machine for: sched(7), ioprio_set(2), numa(7), personality(2).
 * The system calls themselves, as the C library has no wrapper for most of them.
 */
#include "steps.h"
#include <linux/sched/types.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { IOPRIO_WHO_PROCESS = 1 }; /* ioprio_set(2) */

/* All of the structure: SCHED_FLAG_UTIL_CLAMP_* is refused without its last two members, here 0. An older kernel takes a longer one whose rest is 0. */
int step_sched_setattr(struct call *call)
{
    struct sched_attr attributes = {
        .size = sizeof attributes,
        .sched_policy = (uint32_t)number_at(call, 0),
        .sched_flags = number_at(call, 1),
        .sched_nice = (int32_t)number_at(call, 2),
        .sched_priority = (uint32_t)number_at(call, 3),
        .sched_runtime = number_at(call, 4),
        .sched_deadline = number_at(call, 5),
        .sched_period = number_at(call, 6),
    };
    return done(syscall(SYS_sched_setattr, 0, &attributes, 0));
}

int step_ioprio_set(struct call *call)
{
    return done(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, (int)number_at(call, 0)));
}

int step_sched_setaffinity(struct call *call)
{
    struct span mask = bytes_at(call, 0);
    return done(syscall(SYS_sched_setaffinity, 0, (size_t)mask.size, mask.at));
}

/* The kernel takes the number of bits plus one: set_mempolicy(2), BUGS. */
int step_set_mempolicy(struct call *call)
{
    struct span nodes = bytes_at(call, 1);
    return done(syscall(SYS_set_mempolicy, (int)number_at(call, 0), nodes.size ? nodes.at : NULL, (unsigned long)nodes.size * 8 + 1));
}

int step_personality(struct call *call)
{
    return done(personality((unsigned long)number_at(call, 0)));
}
