/*
 * supervise.c: one ppoll loop over a signalfd, TypeScript's socket and the supervisor's clients. The container is
 * signalled by pidfd, so a signal never hits a process that has got its pid since.
 */
#include "supervise.h"
#include "clients.h"
#include "lanes.h"
#include "message.h"
#include "report.h"
#include "stage.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The first entries of the array given to poll; the clients follow. */
enum { POLL_SIGNALS, POLL_CONTROL, POLL_CLIENTS };

static const int FORWARDED[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH };

struct container {
    pid_t pid;
    int pidfd;
    bool ended;
    int status;
};

static int open_signals(void);
static void forward_early_signals(const struct container *container);
static void take_signal(int signals, struct container *container);
static void reap(struct container *container);
static void take_reply(const struct container *container);
static void signal_container(const struct container *container, int number);
static int write_exit(int state, int status);

int supervise(pid_t pid, int state, int listener, uint32_t step, const char **failed)
{
    struct container container = { .pid = pid };
    struct pollfd polled[POLL_CLIENTS + CLIENTS_POLLED];
    int signals = open_signals();
    *failed = "pidfd_open";
    container.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (container.pidfd < 0)
        return errno;
    *failed = "signalfd";
    if (signals < 0)
        return errno;
    clients_open(listener);
    report(REPORT_SUPERVISING, step, 0, 0, NULL, -1);
    forward_early_signals(&container);

    /* It may have ended, and its SIGCHLD be taken as one with another's, before the signals were read. */
    reap(&container);
    while (!container.ended) {
        polled[POLL_SIGNALS] = (struct pollfd){ .fd = signals, .events = POLLIN };
        polled[POLL_CONTROL] = (struct pollfd){ .fd = self.control[0], .events = POLLIN };
        nfds_t count = POLL_CLIENTS + clients_poll(polled + POLL_CLIENTS);
        if (ppoll(polled, count, NULL, NULL) < 0)
            continue; /* EINTR, ENOMEM */
        if (polled[POLL_CONTROL].revents)
            take_reply(&container);
        clients_serve(polled + POLL_CLIENTS, container.pid, container.pidfd);
        if (polled[POLL_SIGNALS].revents)
            take_signal(signals, &container);
    }

    int error = state >= 0 ? write_exit(state, container.status) : 0;
    if (self.control[0] >= 0)
        report(REPORT_EXITED, step, error, container.status, error ? "write of STATE/exit" : NULL, -1);
    _exit(WIFSIGNALED(container.status) ? 128 + WTERMSIG(container.status) : WEXITSTATUS(container.status));
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof FORWARDED / sizeof *FORWARDED; i++)
        sigaddset(&set, FORWARDED[i]);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void forward_early_signals(const struct container *container)
{
    for (int number = 1; number <= 64; number++)
        if (self.early_signals >> (number - 1) & 1)
            signal_container(container, number);
}

static void take_signal(int signals, struct container *container)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == SIGCHLD)
            reap(container);
        else
            signal_container(container, (int)info.ssi_signo);
}

/* The container, and whatever it has left behind: stage is a subreaper. */
static void reap(struct container *container)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == container->pid) {
            container->ended = true;
            container->status = status;
        }
}

/* TypeScript may leave: the container stays, and so does its supervisor. */
static void take_reply(const struct container *container)
{
    struct reply reply;
    int fd;
    ssize_t size = message_receive(self.control[0], &reply, sizeof reply, &fd);
    if (fd >= 0)
        close(fd);
    if (size == sizeof reply && reply.type == REPLY_SIGNAL) {
        signal_container(container, reply.value >= 1 && reply.value <= 64 ? (int)reply.value : 0);
    } else if (size == sizeof reply && reply.type == REPLY_ABORT) {
        signal_container(container, SIGKILL);
    } else if (size <= 0) {
        close(self.control[0]);
        self.control[0] = -1;
    }
}

/* ESRCH: it has ended, and SIGCHLD is on its way. */
static void signal_container(const struct container *container, int number)
{
    syscall(SYS_pidfd_send_signal, container->pidfd, number, NULL, 0);
}

/* By rename, so that whoever reads it sees nothing or all of it. 0, or an errno. */
static int write_exit(int state, int status)
{
    char text[64];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int size = snprintf(text, sizeof text, "%d %lld.%09ld\n", status, (long long)now.tv_sec, now.tv_nsec);
    int file = openat(state, "exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return errno;
    ssize_t written = write(file, text, (size_t)size);
    int error = written < 0 ? errno : written < size ? ENOSPC : 0;
    close(file);
    if (error == 0 && renameat(state, "exit.new", state, "exit") < 0)
        error = errno;
    return error;
}
