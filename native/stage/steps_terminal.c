/*
 * steps_terminal.c: pseudo-terminals by descriptor, ioctl_tty(2). The peer comes from TIOCGPTPEER, never from a path below
 * /dev/pts that the container could have swapped (CVE-2025-52565).
 */
#include "steps.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int step_setpgid(struct call *call)
{
    (void)call;
    return done(setpgid(0, 0));
}

int step_setsid(struct call *call)
{
    (void)call;
    return done(setsid());
}

int step_set_ctty(struct call *call)
{
    return done_by(call, "ioctl TIOCSCTTY", ioctl(fd_at(call, 0), TIOCSCTTY, 0));
}

int step_pty_unlock(struct call *call)
{
    int locked = 0;
    return done_by(call, "ioctl TIOCSPTLCK", ioctl(fd_at(call, 0), TIOCSPTLCK, &locked));
}

int step_pty_peer(struct call *call)
{
    int fd = ioctl(fd_at(call, 0), TIOCGPTPEER, (int)number_at(call, 1) | O_CLOEXEC);
    call->failed = "ioctl TIOCGPTPEER";
    return gives(call, fd);
}

int step_pty_size(struct call *call)
{
    struct winsize size = { .ws_col = (unsigned short)number_at(call, 1), .ws_row = (unsigned short)number_at(call, 2) };
    return done_by(call, "ioctl TIOCSWINSZ", ioctl(fd_at(call, 0), TIOCSWINSZ, &size));
}
