/*
 * keeper: process 1 of the world in which the conformance suite runs a runtime. A container that was created, and whose
 * runtime has ended, becomes its child: it reaps everybody and writes "PID STATUS" for each, where STATUS is the exit status or
 * 128 and the number of the signal, as an engine's subreaper would learn it. It ends when its input does. wait(2), pid_namespaces(7).
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        printf("%d %d\n", pid, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

int main(void)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    int ended = signalfd(-1, &children, SFD_CLOEXEC);
    if (ended < 0)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");

    for (struct pollfd watched[2] = {{STDIN_FILENO, POLLIN, 0}, {ended, POLLIN, 0}};;) {
        if (poll(watched, 2, -1) < 0)
            return 1;
        char bytes[sizeof(struct signalfd_siginfo)];
        if (watched[0].revents && read(STDIN_FILENO, bytes, sizeof bytes) <= 0)
            return 0;
        if (watched[1].revents && read(ended, bytes, sizeof bytes) > 0)
            reap();
    }
}
