/*
 * seal.c: holds a copy of a file in a sealed memfd (memfd_create(2), F_SEAL_WRITE in fcntl(2)). Run on the host, for the RAM of a
 * snapshot: QEMU insists on opening it for writing, though it maps it privately, so only a seal keeps a guest that has
 * broken out from changing the memory that every other machine begins with.
 *
 * Prints the descriptor's number, which the parent opens as /proc/PID/fd/N, and stays until its standard input ends.
 */
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t block[1 << 20];

/* From a hole's end to the next hole: most of a machine's memory was never touched and stays a hole. */
static bool copy_range(int from, int to, off_t begin, off_t end) {
    while (begin < end) {
        size_t most = end - begin < (off_t)sizeof block ? (size_t)(end - begin) : sizeof block;
        ssize_t n = pread(from, block, most, begin);
        if (n <= 0 || pwrite(to, block, (size_t)n, begin) != n)
            return false;
        begin += n;
    }
    return true;
}

int hold_sealed(const char *path) {
    int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("tare-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    off_t size = from < 0 ? -1 : lseek(from, 0, SEEK_END), end = 0;
    bool good = to >= 0 && size > 0 && ftruncate(to, size) == 0;
    while (good && end < size) {
        off_t begin = lseek(from, end, SEEK_DATA);
        if (begin < 0 && errno == ENXIO)
            break; /* nothing but a hole up to the end */
        end = begin < 0 ? -1 : lseek(from, begin, SEEK_HOLE);
        good = end > 0 && copy_range(from, to, begin, end);
    }
    if (!good || fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
        fprintf(stderr, "agent: %s cannot be held in memory: %s\n", path, strerror(errno));
        return 1;
    }
    printf("%d\n", to);
    fflush(stdout);
    while (read(STDIN_FILENO, block, sizeof block) > 0)
        ;
    return 0;
}
