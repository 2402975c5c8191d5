/*
 * copy_tree.c: the whole content of a directory into another, by descriptor and without following a link: what tmpcopyup asks for. Names,
 * modes, owners, times, symbolic links, devices and extended attributes; hard links become copies.
 */
#include "steps.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX 200 /* of open directories: two descriptors each */

static int copy_directory(int from, int to, unsigned depth);
static int copy_entry(int from, int to, const char *name, unsigned depth);
static int copy_file(int from, int to);
static int copy_attributes(int from, int to);

int step_copy_tree(struct call *call)
{
    return copy_directory(fd_at(call, 0), fd_at(call, 1), 0);
}

/* The descriptors may be O_PATH, which cannot be read: both are opened anew. */
static int copy_directory(int from, int to, unsigned depth)
{
    struct dirent *entry;
    int error = 0;
    if (depth > DEPTH_MAX)
        return ELOOP;
    int source = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = source < 0 ? NULL : fdopendir(source);
    if (!directory) {
        error = errno;
        if (source >= 0)
            close(source);
        return error;
    }
    int target = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (target < 0)
        error = errno;
    while (error == 0 && (entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            error = copy_entry(source, target, entry->d_name, depth);
    if (target >= 0)
        close(target);
    closedir(directory);
    return error;
}

static int copy_link(int from, int to, const char *name)
{
    char target[4096];
    ssize_t size = readlinkat(from, name, target, sizeof target - 1);
    if (size < 0)
        return errno;
    target[size] = '\0';
    return done(symlinkat(target, to, name));
}

static int copy_content(int from, int to, const char *name, const struct stat *file, unsigned depth)
{
    bool is_directory = S_ISDIR(file->st_mode);
    if (is_directory && mkdirat(to, name, 0700) < 0)
        return errno;
    int flags = O_NOFOLLOW | O_CLOEXEC | (is_directory ? O_DIRECTORY | O_RDONLY : 0);
    int source = openat(from, name, flags | O_RDONLY);
    int target = is_directory ? openat(to, name, flags) : openat(to, name, flags | O_WRONLY | O_CREAT | O_EXCL, 0600);
    int error = source < 0 || target < 0 ? errno : 0;
    if (error == 0)
        error = is_directory ? copy_directory(source, target, depth + 1) : copy_file(source, target);
    if (error == 0)
        error = copy_attributes(source, target);
    if (source >= 0)
        close(source);
    if (target >= 0)
        close(target);
    return error;
}

static int copy_entry(int from, int to, const char *name, unsigned depth)
{
    struct stat file;
    int error;
    if (fstatat(from, name, &file, AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    if (S_ISLNK(file.st_mode))
        error = copy_link(from, to, name);
    else if (S_ISDIR(file.st_mode) || S_ISREG(file.st_mode))
        error = copy_content(from, to, name, &file, depth);
    else if (S_ISSOCK(file.st_mode)) /* nothing would answer there */
        return 0;
    else
        error = done(mknodat(to, name, file.st_mode, file.st_rdev));
    if (error == 0 && fchownat(to, name, file.st_uid, file.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        error = errno;
    /* After chown, which takes the set-user-ID bit away. */
    if (error == 0 && !S_ISLNK(file.st_mode) && fchmodat(to, name, file.st_mode & 07777, 0) < 0)
        error = errno;
    const struct timespec times[] = { file.st_atim, file.st_mtim };
    if (error == 0 && utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        error = errno;
    return error;
}

static int copy_file(int from, int to)
{
    char part[16384];
    for (;;) {
        ssize_t size = read(from, part, sizeof part);
        if (size <= 0)
            return size == 0 ? 0 : errno;
        for (ssize_t done_now = 0; done_now < size;) {
            ssize_t written = write(to, part + done_now, (size_t)(size - done_now));
            if (written < 0)
                return errno;
            done_now += written;
        }
    }
}

/* A file system that has none of these, or not this one, is no failure: the copy is as good as it can be. */
static int copy_attributes(int from, int to)
{
    char names[4096], value[4096];
    ssize_t size = flistxattr(from, names, sizeof names);
    if (size < 0)
        return errno == ENOTSUP ? 0 : errno;
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        ssize_t length = fgetxattr(from, name, value, sizeof value);
        if (length >= 0 && fsetxattr(to, name, value, (size_t)length, 0) < 0 && errno != ENOTSUP && errno != EPERM)
            return errno;
    }
    return 0;
}
