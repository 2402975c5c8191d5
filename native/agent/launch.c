/*
 * launch.c: starts a program in a session of its own, on pipes or on a pty (see setsid(2), pty(7), ioctl_tty(2)). A failed
 * chdir or exec comes back as an errno through a close-on-exec pipe, so that the caller can tell 126 and 127 apart.
 */
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static _Noreturn void child(const struct launch *l, int report) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    setsid();
    /* First out of the way of the numbers that are wanted, then onto them. */
    int high[16];
    for (int i = 0; i < l->fd_count; i++)
        if ((high[i] = fcntl(l->fds[i], F_DUPFD, 64)) < 0)
            goto failed;
    if ((report = fcntl(report, F_DUPFD_CLOEXEC, 64)) < 0)
        _exit(126);
    for (int i = 0; i < l->fd_count; i++)
        if (dup2(high[i], i) < 0)
            goto failed;
    if (dup3(report, l->fd_count, O_CLOEXEC) < 0)
        goto failed;
    report = l->fd_count;
    syscall(SYS_close_range, (unsigned)l->fd_count + 1, ~0u, 0);
    if (l->tty && ioctl(0, TIOCSCTTY, 0) < 0)
        goto failed;
    if (chdir(l->cwd) < 0)
        goto failed;
    environ = l->env; /* execvp looks for the program in this PATH */
    /* An argument list that begins with "-" is a login shell: argv[0] says so, the program is /bin/bash. */
    if (l->argv[0][0] == '-')
        execv("/bin/bash", l->argv);
    else
        execvp(l->argv[0], l->argv);
failed:;
    int error = errno;
    if (write(report, &error, sizeof error) != sizeof error)
        _exit(125);
    _exit(126);
}

pid_t launch(const struct launch *l, int *error) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) {
        *error = errno;
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0)
        child(l, report[1]);
    *error = pid < 0 ? errno : 0;
    close(report[1]);
    if (pid > 0 && read(report[0], error, sizeof *error) == sizeof *error) {
        waitpid(pid, NULL, 0);
        pid = -1;
    }
    close(report[0]);
    return pid;
}

void set_size(int fd, uint16_t columns, uint16_t rows) {
    struct winsize size = {.ws_col = columns, .ws_row = rows};
    ioctl(fd, TIOCSWINSZ, &size);
}

bool open_pty(struct channel *channel, uint16_t columns, uint16_t rows, int *slave) {
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), unlock = 0;
    if (master < 0)
        return false;
    *slave = -1;
    if (ioctl(master, TIOCSPTLCK, &unlock) == 0)
        *slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*slave < 0) {
        close(master);
        return false;
    }
    set_size(master, columns, rows);
    channel->input = master;
    channel->sources[0] = (struct source){.fd = master, .stream = 1};
    channel->slave = *slave;
    return true;
}
