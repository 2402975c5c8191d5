/*
 * steps_process.c: clone3(2), namespaces, and the end of a lane.
 */
#include "lanes.h"
#include "report.h"
#include "run.h"
#include "steps.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Pointers of argv and env together: 2 MiB of a stack of 8. */
#define EXEC_MAX_STRINGS (256u << 10)

static int execute(struct call *call, int fd, const char *path, unsigned argv, unsigned env);

/*
 * The child is a copy (no CLONE_VM) that runs its lane. The kernel writes its pid to a page that all lanes share before it
 * runs, so that the outside lane can kill a grandchild of which nobody has told it.
 *
 * The child is made non-dumpable, so that nobody in a namespace that it joins can trace it or open its descriptors
 * (CVE-2016-9962). Not with CLONE_NEWUSER: an unprivileged parent writes /proc/PID/uid_map only while it is dumpable, so
 * there the plan says PR_SET_DUMPABLE 0 itself when the ids are mapped. exec makes it dumpable again.
 */
int step_clone(struct call *call)
{
    unsigned lane = (unsigned)number_at(call, 0);
    uint64_t flags = number_at(call, 1);
    bool sibling = flags & CLONE_PARENT;
    int cgroup = is_none(call, 2) ? 0 : fd_at(call, 2);
    if (cgroup < 0)
        return EBADF;
    pid_t ignored;
    int pidfd = -1;
    int own = sibling ? -1 : (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (!sibling && own < 0)
        return done_by(call, "pidfd_open", -1);
    // #region clone
    struct clone_args arguments = {
        .flags = flags | CLONE_PIDFD | CLONE_PARENT_SETTID | (is_none(call, 2) ? 0 : CLONE_INTO_CGROUP),
        .pidfd = (uintptr_t)&pidfd,
        .parent_tid = (uintptr_t)(self.other_pidns ? &ignored : &self.children->pid[lane]),
        .exit_signal = sibling ? 0 : SIGCHLD, /* a sibling has the parent's */
        .cgroup = (uint64_t)cgroup,
    };
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) {
        lane_become(lane, flags, own);
        if (!(flags & CLONE_NEWUSER))
            prctl(PR_SET_DUMPABLE, 0);
        lane_run();
    // #endregion
    }
    int error = pid < 0 ? errno : 0;
    if (own >= 0)
        close(own);
    if (error != 0) {
        call->failed = "clone3";
        return error;
    }
    lane_let_go(lane);
    report(REPORT_CLONED, call->number, 0, pid, NULL, pidfd);
    call->out[0] = (int)pid;
    call->out[1] = pidfd;
    return 0;
}

int step_adopt(struct call *call)
{
    pid_t pid = self.children->pid[number_at(call, 0)];
    if (pid <= 0)
        return ESRCH;
    call->out[1] = (int)syscall(SYS_pidfd_open, pid, 0);
    if (call->out[1] < 0)
        return done_by(call, "pidfd_open", -1);
    call->out[0] = pid;
    return 0;
}

int step_unshare(struct call *call)
{
    int flags = (int)number_at(call, 0);
    if (unshare(flags) < 0)
        return errno;
    self.children_other_pidns = self.children_other_pidns || flags & CLONE_NEWPID;
    lane_follow_parent();
    return 0;
}

int step_setns(struct call *call)
{
    int flags = (int)number_at(call, 1);
    if (setns(fd_at(call, 0), flags) < 0)
        return errno;
    self.children_other_pidns = self.children_other_pidns || flags == 0 || flags & CLONE_NEWPID;
    lane_follow_parent();
    return 0;
}

int step_sethostname(struct call *call)
{
    return done(syscall(SYS_sethostname, string_at(call, 0), (size_t)bytes_at(call, 0).size));
}

int step_setdomainname(struct call *call)
{
    return done(syscall(SYS_setdomainname, string_at(call, 0), (size_t)bytes_at(call, 0).size));
}

/* Where the PATH is searched, a candidate that cannot be (a link that leads to itself) is none: the next may be the program. */
static int is_absent(int error, uint64_t candidates)
{
    return error == ENOENT || error == ENOTDIR || (error == ELOOP && candidates >> 32 > 1);
}

/* As exec will look for it, but while a failure can still be told to who creates the container. execve's own answer decides later. */
int step_expect_program(struct call *call)
{
    uint64_t candidates = number_at(call, 0);
    int error = ENOENT;
    for (uint32_t i = 0; i < candidates >> 32; i++) {
        struct stat file;
        const char *path = plan_string(&self.plan, candidates, i);
        if (stat(path, &file) < 0) {
            if (!is_absent(errno, candidates))
                error = errno;
        } else if (!S_ISREG(file.st_mode) || access(path, X_OK) < 0) {
            error = EACCES;
        } else {
            return 0;
        }
    }
    return error;
}

/* Candidates as execvp(3) tries them: what may not be executed is remembered, but something executable may follow. */
int step_exec(struct call *call)
{
    uint64_t candidates = number_at(call, 0);
    int error = ENOENT;
    for (uint32_t i = 0; i < candidates >> 32; i++) {
        int one = execute(call, AT_FDCWD, plan_string(&self.plan, candidates, i), 1, 2);
        if (one == EACCES)
            error = EACCES;
        else if (!is_absent(one, candidates))
            return one;
    }
    return error;
}

int step_exec_fd(struct call *call)
{
    return execute(call, fd_at(call, 0), "", 1, 2);
}

int step_exit(struct call *call)
{
    _exit((int)number_at(call, 0) & 255);
}

static char **pointers(uint64_t list, char **at)
{
    for (uint32_t i = 0; i < list >> 32; i++)
        *at++ = (char *)plan_string(&self.plan, list, i);
    *at++ = NULL;
    return at;
}

/*
 * execve for a path, execveat for a descriptor: a seccomp profile may allow only the first. The pointers lie on the stack,
 * since the filter that is in force by now need not allow mmap(2) either; the kernel's own bound on them is lower.
 */
static int execute(struct call *call, int fd, const char *path, unsigned argv_input, unsigned env_input)
{
    uint64_t argv = number_at(call, argv_input), env = number_at(call, env_input);
    if ((argv >> 32) + (env >> 32) > EXEC_MAX_STRINGS)
        return E2BIG;
    char *argv_pointers[(argv >> 32) + (env >> 32) + 2];
    char **env_pointers = pointers(argv, argv_pointers);
    pointers(env, env_pointers);
    if (self.lane == 0)
        signals_unblock();
    if (*path) {
        call->failed = "execve";
        syscall(SYS_execve, path, argv_pointers, env_pointers);
    } else {
        call->failed = "execveat";
        syscall(SYS_execveat, fd, "", argv_pointers, env_pointers, AT_EMPTY_PATH);
    }
    return errno;
}
