/*
 * tsc.c: the frequency of this processor's time stamp counter, measured against CLOCK_MONOTONIC_RAW. The host asks for it before it
 * boots a machine: a guest that must find it out by itself sometimes hangs in the attempt (QEMU's microvm under TCG).
 */
#include "agent.h"
#include <time.h>
#include <x86intrin.h>

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

uint64_t tsc_khz(void) {
    int64_t begin = now_ns(), end;
    uint64_t first = __rdtsc();
    do
        end = now_ns();
    while (end - begin < 10000000);
    return (__rdtsc() - first) * 1000000 / (uint64_t)(end - begin);
}
