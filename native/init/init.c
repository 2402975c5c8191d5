/*
 * init: process 1 of a container whose program was not written to be one. `init [--] CMD [ARGS]` runs CMD as its child, forwards
 * every signal to it, reaps every process that loses its parent (a zombie holds a pid until somebody waits for it, wait(2)),
 * and ends as CMD ends: with its status, 128 and the number of the signal that killed it, 127 when there is no such
 * command, 126 when it cannot be executed. pid_namespaces(7) says what else is asked of process 1.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel's own 64 signals: a C library's sigset_t functions leave out a few at 32 that it keeps for itself, and what is
 * SIGRTMIN in the command may be among them. */
typedef uint64_t kernel_signals;
static const kernel_signals ALL_SIGNALS = ~0ull;

static char **command(char **argv);
static kernel_signals set_mask(kernel_signals mask);
static int wait_for_signal(void);
static pid_t start(char **argv, kernel_signals mask);
static void run(char **argv, kernel_signals mask);
static void take_foreground(pid_t group);
static bool reap(pid_t child, int *status);

int main(int argc, char **argv)
{
    char **child_argv = command(argv);
    if (argc < 2 || *child_argv == NULL) {
        fputs("usage: init [--] COMMAND [ARGUMENT...]\n", stderr);
        return 125;
    }
    kernel_signals before = set_mask(ALL_SIGNALS); /* each is waited for, so none is lost and none interrupts */
    prctl(PR_SET_CHILD_SUBREAPER, 1);              /* when this is not process 1 */

    pid_t child = start(child_argv, before);
    if (child < 0) {
        fprintf(stderr, "init: fork: %s\n", strerror(errno));
        return 125;
    }
    for (int status;;) {
        int number = wait_for_signal();
        if (number == SIGCHLD && reap(child, &status))
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (number > 0 && number != SIGCHLD)
            kill(child, number); /* ESRCH: it has just ended, and its SIGCHLD comes next */
    }
}

static char **command(char **argv)
{
    if (*argv == NULL)
        return argv;
    argv++;
    return *argv && strcmp(*argv, "--") == 0 ? argv + 1 : argv;
}

static kernel_signals set_mask(kernel_signals mask)
{
    kernel_signals before = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &before, sizeof mask);
    return before;
}

static int wait_for_signal(void)
{
    return (int)syscall(SYS_rt_sigtimedwait, &ALL_SIGNALS, NULL, NULL, sizeof ALL_SIGNALS);
}

static pid_t start(char **argv, kernel_signals mask)
{
    pid_t child = fork();
    if (child == 0)
        run(argv, mask);
    return child;
}

/* In a process group of its own, so that Ctrl-C at the terminal reaches the command and not also this process, which would
 * forward it a second time. */
static void run(char **argv, kernel_signals mask)
{
    setpgid(0, 0);
    take_foreground(getpid());
    set_mask(mask);
    execvp(*argv, argv);
    int error = errno;
    fprintf(stderr, "init: %s: %s\n", *argv, strerror(error));
    _exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

/* SIGTTOU, which a process in the background gets for this, is still blocked. */
static void take_foreground(pid_t group)
{
    if (isatty(STDIN_FILENO))
        tcsetpgrp(STDIN_FILENO, group);
}

/* SIGCHLD is one for many: waits for all that have ended. True when the command is among them. */
static bool reap(pid_t child, int *status)
{
    bool ended = false;
    int one;
    pid_t pid;
    while ((pid = waitpid(-1, &one, WNOHANG)) > 0)
        if (pid == child) {
            *status = one;
            ended = true;
        }
    return ended;
}
