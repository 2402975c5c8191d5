/*
 * copy_tree.c: a directory's whole content into another, by descriptor and without following a link: what tmpcopyup asks for. Names,
 * modes, owners, times, symbolic links, devices and extended attributes; hard links become copies. Somebody else may write to the
 * source meanwhile: what a file is, and whose, is asked of the descriptor that is read.
 */
#include "steps.h"
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX 200 /* of directories: three descriptors each */
#define NAMES_MAX 65536 /* XATTR_LIST_MAX */
#define VALUE_MAX 65536 /* XATTR_SIZE_MAX */

static int copy_directory(int from, int to, unsigned depth);
static int copy_entry(int from, int to, const char *name, unsigned depth);
static int copy_content(int from, int to, const char *name, mode_t type, unsigned depth);
static int copy_node(int from, int to, const char *name, const struct stat *node);
static int copy_link(int from, int to, const char *name);
static int copy_file(int from, int to);
static off_t copy_range(int from, int to, off_t at, off_t end);
static int copy_attributes(int from, int to, const struct stat *file);
static int copy_extended(int from, int to);
static int set_owner(int at, const char *name, const struct stat *file, mode_t *mode);

/* The descriptors may be O_PATH, which cannot be read: both are opened anew. */
int step_copy_tree(struct call *call)
{
    struct stat top;
    int source = openat(fd_at(call, 0), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int target = source < 0 ? -1 : openat(fd_at(call, 1), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = target < 0 || fstat(source, &top) < 0 ? errno : 0;
    if (error == 0)
        error = copy_directory(source, target, 0);
    if (error == 0)
        error = copy_attributes(source, target, &top);
    if (source >= 0)
        close(source);
    if (target >= 0)
        close(target);
    return error;
}

static int copy_directory(int from, int to, unsigned depth)
{
    struct dirent *entry;
    int error = 0;
    if (depth > DEPTH_MAX)
        return ELOOP;
    int list = fcntl(from, F_DUPFD_CLOEXEC, 3);
    DIR *directory = list < 0 ? NULL : fdopendir(list);
    if (!directory) {
        error = errno;
        if (list >= 0)
            close(list);
        return error;
    }
    for (;;) {
        errno = 0;
        if (!(entry = readdir(directory))) {
            error = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if ((error = copy_entry(from, to, entry->d_name, depth)) != 0)
            break;
    }
    closedir(directory);
    return error;
}

static int copy_entry(int from, int to, const char *name, unsigned depth)
{
    struct stat file;
    if (fstatat(from, name, &file, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : errno; /* removed since it was listed */
    if (S_ISDIR(file.st_mode) || S_ISREG(file.st_mode))
        return copy_content(from, to, name, file.st_mode & S_IFMT, depth);
    if (S_ISSOCK(file.st_mode)) /* nothing would answer there */
        return 0;
    return copy_node(from, to, name, &file);
}

/* O_NONBLOCK: should it have become a pipe since it was looked at, nobody may ever write into that. */
static int copy_content(int from, int to, const char *name, mode_t type, unsigned depth)
{
    struct stat file;
    bool is_directory = type == S_IFDIR;
    int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (source < 0)
        return errno;
    int error = fstat(source, &file) < 0 ? errno : (file.st_mode & S_IFMT) != type ? EAGAIN : 0;
    if (error == 0 && is_directory && mkdirat(to, name, 0700) < 0)
        error = errno;
    int flags = is_directory ? O_RDONLY | O_DIRECTORY : O_WRONLY | O_CREAT | O_EXCL;
    int target = error == 0 ? openat(to, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
    if (error == 0 && target < 0)
        error = errno;
    if (error == 0)
        error = is_directory ? copy_directory(source, target, depth + 1) : copy_file(source, target);
    if (error == 0)
        error = copy_attributes(source, target, &file);
    close(source);
    if (target >= 0)
        close(target);
    return error;
}

/* A user namespace may make no device, and could not use one. */
static int copy_node(int from, int to, const char *name, const struct stat *node)
{
    bool is_link = S_ISLNK(node->st_mode);
    mode_t mode = node->st_mode & 07777;
    int error = is_link ? copy_link(from, to, name) : done(mknodat(to, name, node->st_mode, node->st_rdev));
    if (error != 0)
        return error == EPERM && !is_link ? 0 : error;
    if ((error = set_owner(to, name, node, &mode)) != 0)
        return error;
    const struct timespec times[] = { node->st_atim, node->st_mtim };
    if (!is_link && fchmodat(to, name, mode, 0) < 0)
        return errno;
    return done(utimensat(to, name, times, AT_SYMLINK_NOFOLLOW));
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

/* Holes stay holes, lseek(2): a file of an image may say that it has more bytes than the disk. */
static int copy_file(int from, int to)
{
    struct stat file;
    off_t at = 0, data;
    if (fstat(from, &file) < 0)
        return errno;
    if (file.st_size == 0) /* as the kernel's own files say, which can be read all the same */
        return done(copy_range(from, to, 0, INT64_MAX));
    while ((data = lseek(from, at, SEEK_DATA)) >= 0) {
        off_t hole = lseek(from, data, SEEK_HOLE);
        at = hole < 0 ? -1 : copy_range(from, to, data, hole);
        if (at < hole || at < 0)
            return at < 0 ? errno : 0; /* it has become shorter meanwhile */
    }
    return errno == ENXIO ? done(ftruncate(to, file.st_size)) : errno;
}

/* Up to the end of the range, or of the file: where that was, or -1. */
static off_t copy_range(int from, int to, off_t at, off_t end)
{
    char part[16384];
    while (at < end) {
        size_t want = end - at < (off_t)sizeof part ? (size_t)(end - at) : sizeof part;
        ssize_t size = pread(from, part, want, at);
        if (size <= 0)
            return size < 0 ? -1 : at;
        for (ssize_t put = 0; put < size;) {
            ssize_t written = pwrite(to, part + put, (size_t)(size - put), at + put);
            if (written < 0)
                return -1;
            put += written;
        }
        at += size;
    }
    return at;
}

/* In this order: chown takes away file capabilities and the set-user-ID bit, and everything changes times. */
static int copy_attributes(int from, int to, const struct stat *file)
{
    mode_t mode = file->st_mode & 07777;
    const struct timespec times[] = { file->st_atim, file->st_mtim };
    int error = set_owner(to, "", file, &mode);
    if (error == 0)
        error = copy_extended(from, to);
    if (error == 0 && fchmod(to, mode) < 0)
        error = errno;
    return error != 0 ? error : done(futimens(to, times));
}

/* A file system that has no such attributes, or not this one, is no failure: the copy is as good as it can be. */
static int copy_extended(int from, int to)
{
    static char names[NAMES_MAX], value[VALUE_MAX];
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

/* Whose id has no place in the user namespace (EINVAL) gives the file to its root, who must not lend it rights. */
static int set_owner(int at, const char *name, const struct stat *file, mode_t *mode)
{
    if (fchownat(at, name, file->st_uid, file->st_gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != EINVAL)
        return errno;
    *mode &= (mode_t)~(S_ISUID | S_ISGID);
    return 0;
}
