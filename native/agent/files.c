/*
 * files.c: files for the host. Reads stream under the channel's credit, so that a large file costs no memory; nothing here
 * may wait, so special files are opened with O_NONBLOCK and a FIFO without a writer is simply empty.
 */
#include "agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LISTING (1u << 20)

void file_read(struct channel *c, const char *path, uint32_t most) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        channel_end(c, -1, (uint32_t)errno);
        return;
    }
    struct stat facts;
    if (fstat(fd, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        close(fd);
        channel_end(c, -1, EISDIR);
        return;
    }
    c->limit = most;
    c->sources[0] = (struct source){.fd = fd, .stream = 1};
}

void file_readlink(struct channel *c, const char *path) {
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof target);
    if (length >= 0)
        port_send(FRAME_DATA, 1, c->id, target, (uint32_t)length);
    channel_end(c, 0, length < 0 ? (uint32_t)errno : 0);
}

void file_readdir(struct channel *c, const char *path) {
    DIR *dir = opendir(path);
    if (!dir) {
        channel_end(c, -1, (uint32_t)errno);
        return;
    }
    size_t capacity = 0;
    const struct dirent *entry;
    while ((errno = 0, entry = readdir(dir))) {
        size_t length = strlen(entry->d_name) + 1;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (c->reply_size + length > capacity) {
            capacity = capacity ? capacity * 2 : 8192;
            uint8_t *larger = capacity <= MAX_LISTING ? realloc(c->reply, capacity) : NULL;
            if (!larger) {
                errno = EFBIG;
                break;
            }
            c->reply = larger;
        }
        memcpy(c->reply + c->reply_size, entry->d_name, length);
        c->reply_size += length;
    }
    int error = errno;
    closedir(dir);
    if (error)
        channel_end(c, -1, (uint32_t)error);
}

void file_stat(struct channel *c, const char *path) {
    struct stat s;
    if (stat(path, &s) < 0) {
        channel_end(c, -1, (uint32_t)errno);
        return;
    }
    struct stat_reply reply = {
        .dev = s.st_dev, .ino = s.st_ino, .size = (uint64_t)s.st_size, .rdev = s.st_rdev, .mode = s.st_mode, .uid = s.st_uid, .gid = s.st_gid,
    };
    port_send(FRAME_DATA, 1, c->id, &reply, sizeof reply);
    channel_end(c, 0, 0);
}

void file_write(struct channel *c, const char *path, uint32_t mode) {
    c->input = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode & 07777);
    c->input_direct = true;
    if (c->input < 0)
        channel_end(c, -1, (uint32_t)errno);
    else if (fchmod(c->input, mode & 07777) < 0 && errno != EPERM && errno != EOPNOTSUPP)
        channel_end(c, -1, (uint32_t)errno);
}
