/*
 * in_root.c: walks a path component by component. `done` is a path that exists and, when it was walked, had no symlink in
 * it; `rest` is what is still to walk. A symlink's target is put before the rest: also a dangling one leads to a place
 * in the root, which is then made. ".." at the root stays there, as in a chroot.
 */
#include "in_root.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYMLINKS_MAX 40 /* as the kernel's MAXSYMLINKS */
#define RACES_MAX 64

struct walk {
    int root;
    mode_t mode;
    unsigned symlinks, races, made;
    char done[PATH_MAX], rest[PATH_MAX], next[NAME_MAX + 1];
    const char **failed;
};

static int make_last(int root, const char *path, mode_t mode, const char **failed);
static int walk_path(struct walk *walk, int *fd);
static int walk_next(struct walk *walk, int *fd);
static int take_component(struct walk *walk);
static int follow(struct walk *walk, int symlink);
static int make_next(struct walk *walk, bool last);
static int make(int parent, const char *name, mode_t mode, const char **failed);
static int open_in_root(int root, const char *path, uint64_t flags, uint64_t resolve, const char **failed);
static int append(char *path, const char *component);

/* Nearly always it is there, or its parent is; the walk is for the rest. */
int make_in_root(int root, const char *path, mode_t mode, int *fd, const char **failed)
{
    *fd = open_in_root(root, *path ? path : ".", O_PATH | (S_ISDIR(mode) ? O_DIRECTORY : 0), 0, failed);
    if (*fd < 0 && errno == ENOENT)
        *fd = make_last(root, path, mode, failed);
    if (*fd >= 0 || (errno != ENOENT && errno != EAGAIN))
        return *fd >= 0 ? 0 : errno;

    struct walk walk;
    if (strlen(path) >= sizeof walk.rest)
        return ENAMETOOLONG;
    walk.root = root;
    walk.mode = mode;
    walk.symlinks = walk.races = walk.made = 0;
    walk.failed = failed;
    walk.done[0] = 0;
    strcpy(walk.rest, path);
    return walk_path(&walk, fd);
}

/* Makes the last component in the directory that the rest of the path names. Answers as open does, and with ENOENT where it
 * takes a walk: there is no such directory, or a (dangling) symlink at the end. */
static int make_last(int root, const char *path, mode_t mode, const char **failed)
{
    char parent_path[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t size = slash ? (size_t)(slash - path) : 0;
    if (size >= sizeof parent_path || *name == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        errno = ENOENT;
        return -1;
    }
    memcpy(parent_path, path, size);
    parent_path[size] = 0;
    int parent = open_in_root(root, size > 0 ? parent_path : ".", O_PATH | O_DIRECTORY, 0, failed);
    if (parent < 0)
        return -1;
    int fd = -1, error = make(parent, name, mode, failed);
    if (error == 0 && (fd = open_in_root(parent, name, O_PATH, RESOLVE_NO_SYMLINKS, failed)) < 0)
        error = ENOENT; /* exchanged for something else meanwhile */
    close(parent);
    errno = error == EEXIST ? ENOENT : error;
    return fd;
}

static int walk_path(struct walk *walk, int *fd)
{
    for (;;) {
        char rest[PATH_MAX];
        strcpy(rest, walk->rest);
        int error = walk_next(walk, fd);
        if (error != EAGAIN && error != EINPROGRESS)
            return error;
        if (error == EAGAIN && ++walk->races == RACES_MAX)
            return error; /* somebody renames or makes things under our feet; the root holds anyway */
        if (error == EAGAIN)
            strcpy(walk->rest, rest);
    }
}

/* One component on. EINPROGRESS while there is more, EAGAIN to do the same again, else the end: 0 with *fd, or an errno. */
static int walk_next(struct walk *walk, int *fd)
{
    char rest[PATH_MAX], candidate[PATH_MAX];
    strcpy(rest, walk->rest);
    int error = take_component(walk);
    if (error != 0)
        return error;
    bool last = *walk->rest == 0;
    if (*walk->next == 0 || strcmp(walk->next, ".") == 0) {
        if (!last)
            return EINPROGRESS;
        *fd = open_in_root(walk->root, *walk->done ? walk->done : ".", O_PATH, RESOLVE_NO_SYMLINKS, walk->failed);
        return *fd >= 0 ? 0 : errno;
    }
    if (strcmp(walk->next, "..") == 0) {
        char *slash = strrchr(walk->done, '/');
        *(slash ? slash : walk->done) = 0;
        if (last)
            strcpy(walk->rest, ".");
        return EINPROGRESS;
    }

    strcpy(candidate, walk->done);
    if ((error = append(candidate, walk->next)) != 0)
        return error;
    int found = open_in_root(walk->root, candidate, O_PATH | O_NOFOLLOW, 0, walk->failed);
    if (found < 0 && errno == ENOENT) {
        error = make_next(walk, last);
        if (error != 0)
            return error == EEXIST ? EAGAIN : error;
        strcpy(walk->rest, rest); /* it is there now: go through it as through any other */
        return ++walk->made < PATH_MAX ? EINPROGRESS : ELOOP;
    }
    if (found < 0)
        return errno;

    struct stat status;
    if (fstat(found, &status) < 0)
        error = errno;
    else if (S_ISLNK(status.st_mode))
        error = follow(walk, found);
    else if (S_ISDIR(status.st_mode) || (last && S_ISREG(walk->mode)))
        error = last ? 0 : EINPROGRESS;
    else
        error = ENOTDIR;
    if (error == EINPROGRESS && !S_ISLNK(status.st_mode))
        strcpy(walk->done, candidate);
    if (error == 0)
        *fd = found;
    else
        close(found);
    return error;
}

/* Moves the first component of `rest` to `next`. */
static int take_component(struct walk *walk)
{
    const char *start = walk->rest + strspn(walk->rest, "/");
    size_t size = strcspn(start, "/");
    if (size > NAME_MAX)
        return ENAMETOOLONG;
    memcpy(walk->next, start, size);
    walk->next[size] = 0;
    start += size;
    start += strspn(start, "/");
    memmove(walk->rest, start, strlen(start) + 1);
    return 0;
}

static int follow(struct walk *walk, int symlink)
{
    char target[PATH_MAX];
    ssize_t size = readlinkat(symlink, "", target, sizeof target - 1);
    if (size < 0)
        return errno;
    if (++walk->symlinks > SYMLINKS_MAX)
        return ELOOP;
    target[size] = 0;
    if (*target == '/')
        *walk->done = 0;
    int error = *walk->rest ? append(target, walk->rest) : 0;
    if (error == 0)
        strcpy(walk->rest, target);
    return error ? error : EINPROGRESS;
}

static int make_next(struct walk *walk, bool last)
{
    int parent = open_in_root(walk->root, *walk->done ? walk->done : ".", O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS, walk->failed);
    if (parent < 0)
        return errno;
    int error = make(parent, walk->next, last ? walk->mode : S_IFDIR | 0755, walk->failed);
    close(parent);
    return error;
}

static int make(int parent, const char *name, mode_t mode, const char **failed)
{
    *failed = S_ISREG(mode) ? "mknodat" : "mkdirat";
    int result = S_ISREG(mode) ? mknodat(parent, name, mode, 0) : mkdirat(parent, name, mode & 07777);
    return result < 0 ? errno : 0;
}

/* -1 and errno. EAGAIN of openat2 (a rename or mount happened meanwhile) is for walk_path to count. */
static int open_in_root(int root, const char *path, uint64_t flags, uint64_t resolve, const char **failed)
{
    struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve };
    *failed = "openat2";
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int append(char *path, const char *component)
{
    size_t size = strlen(path);
    if (size + 1 + strlen(component) >= PATH_MAX)
        return ENAMETOOLONG;
    if (size > 0 && path[size - 1] != '/')
        path[size++] = '/';
    strcpy(path + size, component);
    return 0;
}
