/*
 * steps_files.c: files by descriptor: openat2(2) and the *at calls.
 */
#include "descriptors.h"
#include "in_root.h"
#include "steps.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int step_openat2(struct call *call)
{
    struct open_how how = { .flags = number_at(call, 2) | O_CLOEXEC, .mode = number_at(call, 3), .resolve = number_at(call, 4) };
    return gives(call, syscall(SYS_openat2, fd_at(call, 0), string_at(call, 1), &how, sizeof how));
}

int step_open_proc(struct call *call)
{
    char path[4096];
    int pid = fd_at(call, 0);
    int size;
    if (is_none(call, 0))
        size = snprintf(path, sizeof path, "/proc/self/%s", string_at(call, 1));
    else if (pid > 0)
        size = snprintf(path, sizeof path, "/proc/%d/%s", pid, string_at(call, 1));
    else
        return ESRCH;
    if (size >= (int)sizeof path)
        return ENAMETOOLONG;
    int fd = open(path, (int)number_at(call, 2) | O_CLOEXEC);
    call->failed = fd < 0 ? "open" : NULL;
    return gives(call, fd);
}

int step_mkdirat(struct call *call)
{
    return done(mkdirat(fd_at(call, 0), string_at(call, 1), (mode_t)number_at(call, 2)));
}

int step_mkdir_in_root(struct call *call)
{
    return make_in_root(fd_at(call, 0), string_at(call, 1), S_IFDIR | (mode_t)number_at(call, 2), &call->out[0], &call->failed);
}

int step_create_in_root(struct call *call)
{
    return make_in_root(fd_at(call, 0), string_at(call, 1), S_IFREG | (mode_t)number_at(call, 2), &call->out[0], &call->failed);
}

int step_mknodat(struct call *call)
{
    return done(mknodat(fd_at(call, 0), string_at(call, 1), (mode_t)number_at(call, 2), (dev_t)number_at(call, 3)));
}

int step_symlinkat(struct call *call)
{
    return done(symlinkat(string_at(call, 0), fd_at(call, 1), string_at(call, 2)));
}

int step_fchmodat(struct call *call)
{
    return done(fchmodat(fd_at(call, 0), string_at(call, 1), (mode_t)number_at(call, 2), 0));
}

int step_fchownat(struct call *call)
{
    return done(fchownat(fd_at(call, 0), string_at(call, 1), (uid_t)number_at(call, 2), (gid_t)number_at(call, 3), (int)number_at(call, 4)));
}

int step_unlinkat(struct call *call)
{
    return done(unlinkat(fd_at(call, 0), string_at(call, 1), (int)number_at(call, 2)));
}

/* Files of /proc and cgroups take what one call brings; a part of it would be another value. */
int step_write(struct call *call)
{
    struct span data = bytes_at(call, 1);
    ssize_t written = write(fd_at(call, 0), data.at, data.size);
    return written < 0 ? errno : written == (ssize_t)data.size ? 0 : EIO;
}

int step_dup2(struct call *call)
{
    int number = (int)number_at(call, 1);
    int error = descriptor_make_room(fd_at(call, 0), number);
    if (error != 0)
        return error;
    if (fd_at(call, 0) == number) /* dup2 would leave it close-on-exec */
        return done_by(call, "fcntl", fcntl(number, F_SETFD, 0));
    return done(dup2(fd_at(call, 0), number));
}

int step_close(struct call *call)
{
    int64_t slot = (int64_t)number_at(call, 0);
    int result = close(fd_at(call, 0));
    if (slot >= 0)
        self.slot[slot] = -1;
    return done(result);
}

/*
 * A program of another user opens /dev/stdout anew, and may only if it owns it: pipes and files of who started the container. Not what it
 * was given to read only, which it could then open for writing, nor a device, which is everybody's.
 */
static bool may_be_given(int fd, mode_t type)
{
    if (S_ISFIFO(type) || S_ISSOCK(type))
        return true;
    return S_ISREG(type) && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

int step_own_stdio(struct call *call)
{
    uid_t uid = (uid_t)number_at(call, 0);
    struct stat file;
    for (int fd = 0; fd <= 2; fd++) {
        if (fstat(fd, &file) < 0)
            continue; /* closed: there is nothing to own */
        if (file.st_uid == uid || !may_be_given(fd, file.st_mode))
            continue;
        if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL && errno != EROFS && errno != EACCES)
            return errno;
    }
    return 0;
}

int step_close_range(struct call *call)
{
    return done(syscall(SYS_close_range, (unsigned)number_at(call, 0), (unsigned)number_at(call, 1), (unsigned)number_at(call, 2)));
}

int step_close_others(struct call *call)
{
    int keep[KEEP_MAX];
    for (unsigned i = 0; i < KEEP_MAX; i++) {
        keep[i] = is_none(call, i + 1) ? -1 : fd_at(call, i + 1);
        if (keep[i] < 0 && !is_none(call, i + 1))
            return EBADF;
    }
    return descriptors_close_others((unsigned)number_at(call, 0), keep, KEEP_MAX);
}

int step_chdir(struct call *call)
{
    return done(chdir(string_at(call, 0)));
}

int step_fchdir(struct call *call)
{
    return done(fchdir(fd_at(call, 0)));
}

int step_chroot(struct call *call)
{
    return done(chroot(string_at(call, 0)));
}

int step_umask(struct call *call)
{
    umask((mode_t)number_at(call, 0));
    return 0;
}
