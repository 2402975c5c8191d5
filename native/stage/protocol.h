/*
 * protocol.h: what stage and TypeScript say to each other. Two things: the plan (a file, decoded once, before any step
 * runs) and the reports (messages on a SOCK_SEQPACKET socket, one socket a lane). All numbers are little endian and
 * naturally aligned. runtime/plan/encode.ts and runtime/plan/run.ts are the other side.
 */
#ifndef TARE_STAGE_PROTOCOL_H
#define TARE_STAGE_PROTOCOL_H
#include <stdint.h>

/* ---- The plan ------------------------------------------------------------------------------------------------- */

#define PLAN_MAGIC "TAREPLAN"
#define PLAN_VERSION 1
#define PLAN_MAX_SIZE (16u << 20)
#define PLAN_MAX_LANES 4
#define PLAN_MAX_SLOTS 1024
#define PLAN_MAX_STEPS 8192
#define STEP_MAX_INPUTS 8
#define STEP_MAX_OUTPUTS 2

/* Slots named in a step: an index, or one of these. */
#define SLOT_NONE (-1)
#define SLOT_CWD (-100) /* AT_FDCWD, where an input is a descriptor */

struct plan_header {
    char magic[8];
    uint32_t version;
    uint32_t arch;          /* AUDIT_ARCH_* of <linux/audit.h> */
    uint8_t steps_hash[32]; /* SHA-256 of steps.def */
    uint32_t size;          /* of the whole plan, in bytes */
    uint32_t slots;
    uint32_t given;         /* slots 0..given-1 are filled with inherited descriptors */
    uint32_t lanes;         /* lane 0 is outside, run by stage itself; the others start by a clone step */
    uint32_t lane_steps[PLAN_MAX_LANES]; /* the steps follow the header, lane after lane */
    uint32_t data;          /* offset of the data area, from the start of the plan */
    uint32_t reserved;
};                          /* 88 bytes */

/* An input, by its letter: u, i a number; d, p, l an int64 index or constant; s, b: offset (of the data area's start)
 * in the low, length in the high 32 bits; v: offset of an array of such 64-bit pairs (8-byte aligned), and its count.
 * A string ends with a NUL byte that its length does not count, and holds no other. */
struct plan_step {
    uint16_t kind;          /* position in steps.def */
    uint8_t inputs;
    uint8_t outputs;
    int16_t guard_if;       /* skip the step unless this slot is filled; SLOT_NONE: no condition */
    int16_t guard_unless;   /* skip the step if this slot is filled */
    int16_t tolerate[2];    /* these errnos leave the outputs empty and the plan goes on; 0: none */
    uint32_t reserved;
    int32_t output[STEP_MAX_OUTPUTS];   /* slots, or SLOT_NONE */
    uint64_t input[STEP_MAX_INPUTS];
};                          /* 88 bytes */

/* ---- How stage is started --------------------------------------------------------------------------------------
 *
 *   stage run [--step | --trace]
 *
 * 0, 1, 2   the container's standard streams
 * 3         the outside lane's report socket
 * 4         the plan, a sealed memfd
 * 5 ..      the report sockets of lanes 1 .. lanes-1
 * then      the given descriptors
 *
 * All of 3 and above are made close-on-exec by stage before the first step. --trace reports each step when it is done,
 * --step also waits for GO before each.
 */
#define FD_CONTROL 3
#define FD_PLAN 4
#define FD_LANES 5

/* ---- Reports, stage to TypeScript ------------------------------------------------------------------------------ */

enum report_type {
    REPORT_HELLO = 1,  /* value: PLAN_VERSION; first on the outside lane, when the plan has been accepted */
    REPORT_REFUSED,    /* the plan is malformed: no step was run; name: why */
    REPORT_BEFORE,     /* --step: step is next; waits for REPLY_GO */
    REPORT_DONE,       /* --step, --trace: step is done in ns nanoseconds; error: errno when tolerated; value: 1 when skipped by its guard */
    REPORT_FAILED,     /* step failed with error; name: the system call that failed where a kind has several */
    REPORT_CALL,       /* a call step waits for REPLY_ANSWER; name; a descriptor may be attached */
    REPORT_GIVE,       /* a give step; name; a descriptor is attached */
    REPORT_CLONED,     /* a clone step: value is the child's pid in stage's own pid namespace; its pidfd is attached */
    REPORT_SUPERVISING,/* the supervise step was reached */
    REPORT_EXITED,     /* value: the wait status of the supervised process, as wait(2) encodes it */
};

struct report {
    uint32_t type;
    uint32_t step;     /* index within the lane */
    int32_t error;
    uint32_t name_size;
    int64_t value;
    uint64_t ns;
};                     /* 32 bytes, followed by name_size bytes */

enum reply_type {
    REPLY_GO = 1,      /* to BEFORE */
    REPLY_ANSWER,      /* to CALL: error 0, or an errno that fails the step; a descriptor may be attached */
    REPLY_ABORT,       /* at any time: stop, kill the children, exit */
    REPLY_SIGNAL,      /* to the outside lane while it supervises: value is the signal to send */
};

struct reply {
    uint32_t type;
    int32_t error;
    int64_t value;
};                     /* 16 bytes */

/* What stage does without being told, so that a plan can count on it:
 *
 * - Every descriptor that a step makes is close-on-exec; dup2 alone makes one that is not. dup2 onto a number that stage or
 *   a slot uses moves that one away first.
 * - The child of a clone step is non-dumpable until exec (PR_SET_DUMPABLE 0), unless the clone has CLONE_NEWUSER: an
 *   unprivileged parent can write its uid_map only while it is dumpable, so there the plan has a prctl step after the
 *   wait for the maps. A lane that unshares a user namespace instead has prctl PR_SET_DUMPABLE 1 before. While a process is not dumpable, its files
 *   below /proc/self belong to root, and a user without privileges on the host cannot write them.
 * - The child gets SIGKILL when the process that cloned it ends (with CLONE_PARENT: when stage ends), also after steps that
 *   change credentials. A plan whose child outlives stage has prctl PR_SET_PDEATHSIG 0 in the child's lane, before
 *   stage can end; from that step on stage does not touch the death signal of that lane again.
 * - clone: flags are CLONE_NEW* and CLONE_PARENT (not from lane 0); a cgroup slot means CLONE_INTO_CGROUP. The child
 *   knows the slots that were filled when it was cloned.
 * - Forwardable signals (see supervise) are blocked in lane 0 from its start, and wait for supervise; all others lanes have none
 *   blocked. All dispositions are at their defaults.
 * - The posts of one lane to another are a queue: a wait takes the oldest, and fails with EPROTO when its token is
 *   another, ECANCELED when the other lane has ended or is not started. post with an empty slot carries nothing.
 * - A lane that fails exits with 125, or, when its exec failed, with 127 (ENOENT) or 126. When the outside lane fails, or
 *   is aborted, all lanes are killed and reaped, and stage exits with 125. A lane that comes to its last step exits with 0.
 * - Refused when the plan is decoded: unused inputs that are not 0, unused outputs that are not SLOT_NONE, numbers that do not
 *   fit the argument, netlink messages without NLM_F_ACK, slots that no earlier step can have filled.
 *
 * A lane that ends without FAILED closes its socket: by exec (close-on-exec), or by its end. When the outside lane's
 * socket is closed by TypeScript before supervise, stage aborts; afterwards it goes on supervising alone. */

/* ---- The supervisor's socket (the listener slot of supervise) ----------------------------------------------------
 *
 * SOCK_SEQPACKET, peer credentials: same uid or 0. Supervisors outlive upgrades, so the first message of the client is
 * HELLO with the versions that it speaks, and the answer names the one chosen (the highest both know) or 0 and an end.
 */
#define SUPERVISOR_MIN 1
#define SUPERVISOR_MAX 1

enum supervisor_request { SUP_HELLO = 1, SUP_SIGNAL, SUP_STATUS, SUP_STDIO };

struct sup_request {
    uint32_t type;
    uint32_t min, max;   /* HELLO: versions */
    int32_t value;       /* SIGNAL: the number */
};                       /* 16 bytes */

struct sup_answer {
    uint32_t type;
    int32_t error;       /* errno, or 0 */
    uint32_t version;    /* to HELLO */
    uint32_t running;    /* to STATUS: 1 or 0 */
    int64_t pid;
    int64_t status;      /* wait status when it has ended */
};                       /* 32 bytes; SUP_STDIO: descriptors 0, 1, 2 attached */

/* STATE/exit, written to a temporary name and renamed: "<wait status> <seconds since the epoch>.<nanoseconds>\n" */
#endif
