/*
 * steps_children.c: short-lived children that are no lane: a program to wait for (a hook in the container), and the holder of a user
 * namespace. Neither outlives its step.
 */
#include "lanes.h"
#include "steps.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a failed program wrote last is in the report: as much as fits beside its status. */
#define OUTPUT_MAX 200

static pid_t spawn(uint64_t flags, int *pidfd);
_Noreturn static void become_program(struct call *call, int input, int output, int error);
static bool await_end(int pidfd, int output, uint32_t timeout, char *said);
static const char *describe(int status, const char *said);

/* What it writes is read until it has ended: a grandchild that keeps the pipe is not waited for. */
int step_run(struct call *call)
{
    int input = is_none(call, 3) ? -1 : fd_at(call, 3);
    int output[2], failure[2], pidfd = -1, error = 0, status = 0;
    char said[OUTPUT_MAX] = "";
    if (input < 0 && !is_none(call, 3))
        return EBADF;
    if (input >= 0 && lseek(input, 0, SEEK_SET) < 0)
        return done_by(call, "lseek", -1);
    if (pipe2(output, O_CLOEXEC) < 0)
        return done_by(call, "pipe2", -1);
    if (pipe2(failure, O_CLOEXEC) < 0) {
        error = done_by(call, "pipe2", -1);
        close(output[0]);
        close(output[1]);
        return error;
    }
    pid_t pid = spawn(0, &pidfd);
    if (pid == 0)
        become_program(call, input, output[1], failure[1]);
    error = pid < 0 ? errno : 0;
    close(output[1]);
    close(failure[1]);
    if (error != 0) {
        call->failed = "clone";
    } else {
        if (read(failure[0], &error, sizeof error) == sizeof error)
            call->failed = "execve";
        bool ended = await_end(pidfd, output[0], (uint32_t)number_at(call, 4), said);
        if (!ended)
            kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        close(pidfd);
        if (error == 0 && !ended)
            error = ETIME;
        if (error == 0 && status != 0) {
            error = ECHILD;
            call->failed = describe(status, said);
        }
    }
    close(output[0]);
    close(failure[0]);
    return error;
}

/* A child of a child of stage: it dies with the lane. clone(2), not clone3, which the usual seccomp profiles forbid: a filter cannot look
 * into its arguments, and a hook may run behind the filter. */
static pid_t spawn(uint64_t flags, int *pidfd)
{
    int parent = (int)syscall(SYS_getpid);
    pid_t pid = (pid_t)syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!(flags & CLONE_NEWPID) && (int)syscall(SYS_getppid) != parent)
            _exit(EXIT_OWN_FAILURE);
    }
    return pid;
}

_Noreturn static void become_program(struct call *call, int input, int output, int failure)
{
    uint64_t candidates = number_at(call, 0), argv = number_at(call, 1), env = number_at(call, 2);
    char *pointers[(argv >> 32) + (env >> 32) + 2];
    char **environment = pointers + (argv >> 32) + 1;
    int error = ENOENT;
    for (uint32_t i = 0; i < argv >> 32; i++)
        pointers[i] = (char *)plan_string(&self.plan, argv, i);
    pointers[argv >> 32] = NULL;
    for (uint32_t i = 0; i < env >> 32; i++)
        environment[i] = (char *)plan_string(&self.plan, env, i);
    environment[env >> 32] = NULL;

    int null = input >= 0 ? input : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    else
        close(STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    signals_unblock();
    for (uint32_t i = 0; i < candidates >> 32; i++) {
        execve(plan_string(&self.plan, candidates, i), pointers, environment);
        if (errno != ENOENT && errno != ENOTDIR)
            error = errno;
        if (error != ENOENT && error != EACCES)
            break;
    }
    if (write(failure, &error, sizeof error) != sizeof error)
        _exit(EXIT_OWN_FAILURE);
    _exit(EXIT_NOT_FOUND);
}

/* True when it has ended; false when the time is over. Keeps the last of what it wrote. */
static bool await_end(int pidfd, int output, uint32_t timeout, char *said)
{
    struct timespec start, now;
    size_t size = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    struct pollfd polled[] = { { .fd = pidfd, .events = POLLIN }, { .fd = output, .events = POLLIN } };
    for (;;) {
        int left = -1;
        if (timeout > 0) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            int64_t passed = (int64_t)(now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
            left = passed >= timeout ? 0 : (int)((int64_t)timeout - passed);
        }
        if (poll(polled, 2, left) == 0)
            return false;
        if (polled[1].revents) {
            char part[OUTPUT_MAX];
            ssize_t got = read(output, part, OUTPUT_MAX - 1);
            if (got <= 0) {
                polled[1].fd = -1;
                polled[1].revents = 0;
            } else {
                size_t keep = size + (size_t)got > OUTPUT_MAX - 1 ? (size_t)(OUTPUT_MAX - 1 - got) : size;
                memmove(said, said + size - keep, keep);
                memcpy(said + keep, part, (size_t)got);
                size = keep + (size_t)got;
                said[size] = '\0';
                continue; /* all of it, before its end is looked at */
            }
        }
        if (polled[0].revents)
            return true;
    }
}

static const char *describe(int status, const char *said)
{
    static char text[OUTPUT_MAX + 64];
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "the program was killed by signal %d: %s", WTERMSIG(status), said);
    else
        snprintf(text, sizeof text, "the program ended with status %d: %s", WEXITSTATUS(status), said);
    for (size_t end = strlen(text); end > 0 && strchr(" \n:", text[end - 1]); end--)
        text[end - 1] = '\0';
    return text;
}

static int write_map(pid_t pid, const char *name, struct span map)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = write(fd, map.at, (size_t)map.size) == (ssize_t)map.size ? 0 : errno;
    close(fd);
    return error;
}

/* The descriptor alone keeps the namespace: its holder has done its work when the namespace is open. */
int step_make_userns(struct call *call)
{
    int pidfd = -1;
    char path[64];
    pid_t pid = spawn(CLONE_NEWUSER, &pidfd);
    if (pid == 0)
        for (;;)
            pause();
    if (pid < 0)
        return done_by(call, "clone", -1);
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    call->failed = "write of uid_map";
    int error = write_map(pid, "uid_map", bytes_at(call, 0));
    if (error == 0) {
        call->failed = "write of gid_map";
        error = write_map(pid, "gid_map", bytes_at(call, 1));
    }
    if (error == 0) {
        call->failed = "open of ns/user";
        error = gives(call, open(path, O_RDONLY | O_CLOEXEC));
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(pidfd);
    return error;
}
