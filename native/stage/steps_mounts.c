/*
 * steps_mounts.c: the mount API of Linux 5.2 and later by descriptor, mount(2) beside it, and the checks of what is mounted.
 */
#include "steps.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif

int step_open_tree(struct call *call)
{
    return gives(call, syscall(SYS_open_tree, fd_at(call, 0), string_at(call, 1), (unsigned)number_at(call, 2) | OPEN_TREE_CLOEXEC));
}

int step_fsopen(struct call *call)
{
    return gives(call, syscall(SYS_fsopen, string_at(call, 0), (unsigned)number_at(call, 1) | FSOPEN_CLOEXEC));
}

/* Key and value are NULL for the commands that take none. */
int step_fsconfig(struct call *call)
{
    unsigned command = (unsigned)number_at(call, 1);
    bool has_value = command == FSCONFIG_SET_STRING || command == FSCONFIG_SET_PATH || command == FSCONFIG_SET_PATH_EMPTY;
    return done(syscall(SYS_fsconfig, fd_at(call, 0), command, string_or_null(call, 2), has_value ? string_at(call, 3) : NULL,
                        (int)number_at(call, 4)));
}

int step_fsmount(struct call *call)
{
    return gives(call, syscall(SYS_fsmount, fd_at(call, 0), (unsigned)number_at(call, 1) | FSMOUNT_CLOEXEC, (unsigned)number_at(call, 2)));
}

int step_move_mount(struct call *call)
{
    return done(syscall(SYS_move_mount, fd_at(call, 0), string_at(call, 1), fd_at(call, 2), string_at(call, 3), (unsigned)number_at(call, 4)));
}

int step_mount_setattr(struct call *call)
{
    int userns = is_none(call, 6) ? 0 : fd_at(call, 6);
    if (userns < 0)
        return EBADF;
    struct mount_attr attributes = {
        .attr_set = number_at(call, 3),
        .attr_clr = number_at(call, 4),
        .propagation = number_at(call, 5),
        .userns_fd = (uint64_t)userns,
    };
    return done(syscall(SYS_mount_setattr, fd_at(call, 0), string_at(call, 1), (unsigned)number_at(call, 2), &attributes, sizeof attributes));
}

int step_mount(struct call *call)
{
    return done(syscall(SYS_mount, string_or_null(call, 0), string_at(call, 1), string_or_null(call, 2), number_at(call, 3),
                        string_or_null(call, 4)));
}

int step_umount2(struct call *call)
{
    return done(syscall(SYS_umount2, string_at(call, 0), (int)number_at(call, 1)));
}

int step_pivot_root(struct call *call)
{
    return done(syscall(SYS_pivot_root, string_at(call, 0), string_at(call, 1)));
}

/* CVE-2019-16884, CVE-2019-19921: a write meant for procfs goes to procfs. */
int step_expect_fs(struct call *call)
{
    struct statfs status;
    if (fstatfs(fd_at(call, 0), &status) < 0)
        return done_by(call, "fstatfs", -1);
    return (uint64_t)status.f_type == number_at(call, 1) ? 0 : EMEDIUMTYPE;
}

/* CVE-2025-31133: what is bound over a masked path is /dev/null and not a symlink put in its place. */
int step_expect_device(struct call *call)
{
    struct stat status;
    if (fstat(fd_at(call, 0), &status) < 0)
        return done_by(call, "fstat", -1);
    bool same = S_ISCHR(status.st_mode) && major(status.st_rdev) == number_at(call, 1) && minor(status.st_rdev) == number_at(call, 2);
    return same ? 0 : ENODEV;
}

/* The system call itself: the C library's getcwd hides the "(unreachable)" that the kernel puts before such a path. */
int step_expect_cwd(struct call *call)
{
    char path[PATH_MAX];
    if (syscall(SYS_getcwd, path, sizeof path) < 0)
        return done_by(call, "getcwd", -1);
    return path[0] == '/' ? 0 : ENOENT;
}
