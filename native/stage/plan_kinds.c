/*
 * plan_kinds.c: what single kinds ask of their inputs beyond the letters: numbers that fit the system call's argument
 * (so that uid 2^32 never becomes 0, CVE-2024-40635), blobs of whole records, flags that keep a clone a copy.
 */
#include "kinds.h"
#include "plan.h"
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <string.h>

#define NAME_MAX_SIZE 255 /* of call and give: they travel in a report */

static const uint64_t CLONE_ALLOWED = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                      CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME | CLONE_PARENT;

static bool takes_64_bits(unsigned kind);
static bool netlink_is_valid(struct span messages);

bool plan_check_kind(struct plan *plan, unsigned lane, const struct plan_step *step)
{
    const char *letters = KINDS[step->kind].inputs;
    for (unsigned i = 0; i < step->inputs; i++)
        if (letters[i] == 'u' && step->input[i] > UINT32_MAX && !takes_64_bits(step->kind))
            return plan_refuse(plan, "input %u does not fit 32 bits", i);

    switch (step->kind) {
    case KIND_clone:
        if (step->input[1] & ~CLONE_ALLOWED)
            return plan_refuse(plan, "flags %#llx are not all allowed", (unsigned long long)step->input[1]);
        /* A sibling of stage would be nobody's to reap. */
        if (lane == 0 && step->input[1] & CLONE_PARENT)
            return plan_refuse(plan, "the outside lane cannot clone with CLONE_PARENT");
        return true;
    case KIND_supervise:
        if (lane != 0)
            return plan_refuse(plan, "only the outside lane supervises");
        return (int64_t)step->input[0] >= 0 || plan_refuse(plan, "it supervises no process");
    case KIND_exec:
        if (step->input[0] >> 32 == 0)
            return plan_refuse(plan, "it has no candidate");
        return step->input[1] >> 32 != 0 || plan_refuse(plan, "argv is empty");
    case KIND_exec_fd:
        return step->input[1] >> 32 != 0 || plan_refuse(plan, "argv is empty");
    case KIND_expect_program:
        return step->input[0] >> 32 != 0 || plan_refuse(plan, "it has no candidate");
    case KIND_run:
        if (step->input[0] >> 32 == 0)
            return plan_refuse(plan, "it has no candidate");
        return step->input[1] >> 32 != 0 || plan_refuse(plan, "argv is empty");
    case KIND_sched_setaffinity:
    case KIND_set_mempolicy: {
        unsigned mask = step->kind == KIND_set_mempolicy;
        return (step->input[mask] >> 32) % 8 == 0 || plan_refuse(plan, "the mask is not of whole 64-bit words");
    }
    case KIND_call:
    case KIND_give:
        return step->input[0] >> 32 <= NAME_MAX_SIZE || plan_refuse(plan, "its name is too long");
    case KIND_setgroups:
        return (step->input[0] >> 32) % 4 == 0 || plan_refuse(plan, "the gids are not 32 bits each");
    case KIND_seccomp: {
        uint64_t size = step->input[1] >> 32;
        return (size % sizeof(struct sock_filter) == 0 && size > 0 && size / sizeof(struct sock_filter) <= BPF_MAXINSNS) ||
               plan_refuse(plan, "the filter is no array of 1 to %d instructions", BPF_MAXINSNS);
    }
    case KIND_cgroup_device: {
        uint64_t size = step->input[1] >> 32;
        return (size % sizeof(struct bpf_insn) == 0 && size > 0 && size / sizeof(struct bpf_insn) <= BPF_MAXINSNS) ||
               plan_refuse(plan, "the program is no array of 1 to %d instructions", BPF_MAXINSNS);
    }
    case KIND_netlink:
        return netlink_is_valid(plan_span(plan, step->input[1])) || plan_refuse(plan, "the messages are malformed");
    case KIND_pty_size:
        return (step->input[1] <= UINT16_MAX && step->input[2] <= UINT16_MAX) || plan_refuse(plan, "the size does not fit 16 bits");
    default:
        return true;
    }
}

static bool takes_64_bits(unsigned kind)
{
    switch (kind) {
    case KIND_openat2:       /* struct open_how */
    case KIND_mount:         /* unsigned long */
    case KIND_mount_setattr: /* struct mount_attr */
    case KIND_expect_fs:
    case KIND_clone:         /* struct clone_args */
    case KIND_post:
    case KIND_wait:
    case KIND_cap_bound:
    case KIND_capset:
    case KIND_cap_ambient:
    case KIND_prctl:
    case KIND_prlimit:
    case KIND_sched_setattr: /* struct sched_attr */
        return true;
    default:
        return false;
    }
}

/* Whole messages, each asking for the acknowledgement that the step waits for. */
static bool netlink_is_valid(struct span messages)
{
    while (messages.size > 0) {
        struct nlmsghdr header;
        if (messages.size < sizeof header)
            return false;
        memcpy(&header, messages.at, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > messages.size || !(header.nlmsg_flags & NLM_F_ACK))
            return false;
        uint32_t step = NLMSG_ALIGN(header.nlmsg_len);
        if (step > messages.size)
            step = messages.size; /* the last one may lack its padding */
        messages.at += step;
        messages.size -= step;
    }
    return true;
}
