/*
 * steps_rights.c: identity and rights: credentials(7), capabilities(7), limits, seccomp(2), devices. The system calls themselves:
 * the C library's setres*id would signal threads that stage does not have.
 */
#include "lanes.h"
#include "steps.h"
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif

/* A change of credentials takes the parent's death signal away, prctl(2): it is asked for again. */
static int credentials_changed(long result)
{
    int error = done(result);
    if (error == 0)
        lane_follow_parent();
    return error;
}

/* KEY_POS_ALL, and for the user what a named keyring begins with, and to search, without which nobody could join it a second time
 * (keyctl_join_session_keyring(3)). <linux/key.h> of the kernel. */
enum { KEYRING_PERMISSIONS = 0x3f1b0000 };

int step_keyctl_join(struct call *call)
{
    long keyring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, string_or_null(call, 0));
    if (keyring < 0)
        return done_by(call, "keyctl KEYCTL_JOIN_SESSION_KEYRING", keyring);
    /* Who joins one that is there need not own it. */
    if (syscall(SYS_keyctl, KEYCTL_SETPERM, keyring, KEYRING_PERMISSIONS) < 0 && errno != EACCES)
        return done_by(call, "keyctl KEYCTL_SETPERM", -1);
    return 0;
}

int step_setgroups(struct call *call)
{
    struct span gids = bytes_at(call, 0);
    return done(syscall(SYS_setgroups, gids.size / 4, gids.at));
}

int step_setresgid(struct call *call)
{
    return credentials_changed(syscall(SYS_setresgid, (gid_t)number_at(call, 0), (gid_t)number_at(call, 1), (gid_t)number_at(call, 2)));
}

int step_setresuid(struct call *call)
{
    return credentials_changed(syscall(SYS_setresuid, (uid_t)number_at(call, 0), (uid_t)number_at(call, 1), (uid_t)number_at(call, 2)));
}

/* PR_CAPBSET_READ fails above the last capability that this kernel knows. */
int step_cap_bound(struct call *call)
{
    uint64_t keep = number_at(call, 0);
    for (unsigned long capability = 0; capability < 64; capability++) {
        int has = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
        if (has < 0)
            return 0;
        if (has && !(keep >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            return done_by(call, "prctl PR_CAPBSET_DROP", -1);
    }
    return 0;
}

int step_capset(struct call *call)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    for (unsigned half = 0; half < 2; half++) {
        data[half].effective = (uint32_t)(number_at(call, 0) >> 32 * half);
        data[half].permitted = (uint32_t)(number_at(call, 1) >> 32 * half);
        data[half].inheritable = (uint32_t)(number_at(call, 2) >> 32 * half);
    }
    return credentials_changed(syscall(SYS_capset, &header, data));
}

int step_cap_ambient(struct call *call)
{
    uint64_t raise = number_at(call, 0);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return done_by(call, "prctl PR_CAP_AMBIENT_CLEAR_ALL", -1);
    for (unsigned long capability = 0; capability < 64; capability++)
        if (raise >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
            return done_by(call, "prctl PR_CAP_AMBIENT_RAISE", -1);
    return 0;
}

int step_prctl(struct call *call)
{
    int option = (int)number_at(call, 0);
    if (option == PR_SET_PDEATHSIG)
        self.death_signal_by_plan = true;
    return done(syscall(SYS_prctl, option, number_at(call, 1), number_at(call, 2), number_at(call, 3), number_at(call, 4)));
}

int step_prlimit(struct call *call)
{
    struct { uint64_t soft, hard; } limit = { number_at(call, 1), number_at(call, 2) }; /* struct rlimit64 */
    return done_by(call, "prlimit64", syscall(SYS_prlimit64, 0, (unsigned)number_at(call, 0), &limit, NULL));
}

int step_seccomp(struct call *call)
{
    struct span filter = bytes_at(call, 1);
    unsigned flags = (unsigned)number_at(call, 0);
    struct sock_fprog program = {
        .len = (unsigned short)(filter.size / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)(void *)filter.at,
    };
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    return flags & SECCOMP_FILTER_FLAG_NEW_LISTENER ? gives(call, result) : done(result);
}

/* The cgroup keeps the program: it goes with the directory, and the descriptor is not needed again. */
int step_cgroup_device(struct call *call)
{
    struct span code = bytes_at(call, 1);
    union bpf_attr load, attach;
    memset(&load, 0, sizeof load); /* all of it: the kernel refuses what it does not know, E2BIG */
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insn_cnt = (uint32_t)(code.size / sizeof(struct bpf_insn));
    load.insns = (uint64_t)(uintptr_t)code.at;
    load.license = (uint64_t)(uintptr_t)"MIT"; /* it calls no helper that asks for the GPL */
    int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (program < 0)
        return done_by(call, "bpf BPF_PROG_LOAD", -1);
    memset(&attach, 0, sizeof attach);
    attach.target_fd = (uint32_t)fd_at(call, 0);
    attach.attach_bpf_fd = (uint32_t)program;
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI; /* programs of cgroups below are asked too, as those above are */
    int error = done_by(call, "bpf BPF_PROG_ATTACH", syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach));
    close(program);
    return error;
}
