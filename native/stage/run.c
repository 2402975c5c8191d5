/*
 * run.c: the interpreter: step after step, with guards, tolerated errnos, and the reports of --step and --trace.
 * The first step that fails ends its lane.
 */
#include "run.h"
#include "kinds.h"
#include "lanes.h"
#include "report.h"
#include "steps.h"
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int (*const FUNCTIONS[KIND_COUNT])(struct call *) = {
#define STEP(kind, inputs, input_names, outputs, output_names, what) step_##kind,
#include "steps.def"
#undef STEP
};

static void run_step(uint32_t number);
static void reap_bridges(void);
static bool guards_allow(const struct plan_step *step);
static void keep_outputs(const struct call *call);
_Noreturn static void fail(const struct call *call, int error);

void lane_run(void)
{
    for (uint32_t number = 0; number < self.plan.header->lane_steps[self.lane]; number++)
        run_step(number);
    if (self.lane == 0)
        reap_bridges();
    _exit(0);
}

/*
 * A bridge, which is a lane that has cloned another and ends by itself, must not wait as a zombie for a subreaper: it counts in the
 * pids.max of the cgroup that it is in. It is waited for, as it may be about to end only. Other lanes are not: how one ended that became a
 * program is for the caller's subreaper to learn, and one may wait for its start for ever.
 */
static void reap_bridges(void)
{
    const struct plan_header *header = self.plan.header;
    for (unsigned lane = 1; lane < header->lanes; lane++) {
        bool has_cloned = self.plan.family[lane] != 1u << lane;
        bool ends = self.plan.lane[lane][header->lane_steps[lane] - 1].kind == KIND_exit;
        if (has_cloned && ends && self.children->pid[lane] > 0)
            while (waitpid(self.children->pid[lane], NULL, 0) < 0 && errno == EINTR)
                ;
    }
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void run_step(uint32_t number)
{
    struct call call = { .step = &self.plan.lane[self.lane][number], .number = number, .out = { -1, -1 } };
    int no_fd;

    /* Where the container is left to its caller, whoever asked for the steps may be gone already. */
    if (call.step->kind == KIND_await_start)
        self.mode = MODE_QUIET;
    if (self.mode == MODE_STEP) {
        report(REPORT_BEFORE, number, 0, 0, NULL, -1);
        reply_await(REPLY_GO, &no_fd);
    }
    bool traced = self.mode != MODE_QUIET;
    if (!guards_allow(call.step)) {
        if (traced)
            report_done(number, 0, 1, 0);
        return;
    }
    uint64_t start = traced ? now() : 0;
    int error = FUNCTIONS[call.step->kind](&call);
    if (error != 0 && error != call.step->tolerate[0] && error != call.step->tolerate[1])
        fail(&call, error);
    keep_outputs(&call);
    if (traced)
        report_done(number, error, 0, now() - start);
}

static bool guards_allow(const struct plan_step *step)
{
    if (step->guard_if != SLOT_NONE && self.slot[step->guard_if] < 0)
        return false;
    return step->guard_unless == SLOT_NONE || self.slot[step->guard_unless] < 0;
}

/* A tolerated step has made nothing, and so empties its slots. A descriptor that nobody wants is closed. */
static void keep_outputs(const struct call *call)
{
    const char *letters = KINDS[call->step->kind].outputs;
    for (unsigned i = 0; i < call->step->outputs; i++) {
        if (call->step->output[i] != SLOT_NONE)
            self.slot[call->step->output[i]] = call->out[i];
        else if (letters[i] == 'd' && call->out[i] >= 0)
            close(call->out[i]);
    }
}

static void fail(const struct call *call, int error)
{
    bool exec = call->step->kind == KIND_exec || call->step->kind == KIND_exec_fd;
    report(REPORT_FAILED, call->number, error, 0, call->failed, -1);
    if (exec)
        lane_fail(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
    lane_fail(EXIT_OWN_FAILURE);
}
