/*
 * wake.c: what a machine must be told when it begins, or begins again from a snapshot. Clones of one snapshot share its clock
 * and its random pool: without this two of them would make the same keys (random(4): RNDADDENTROPY, RNDRESEEDCRNG).
 */
#include "agent.h"
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SEED 64

void wake(const struct frame *frame) {
    struct { int64_t seconds; uint32_t nanoseconds, reserved; uint8_t seed[SEED]; } message;
    if (frame->length != sizeof message)
        give_up("the host sent a malformed wake message");
    memcpy(&message, frame->payload, sizeof message);
    if (settings.is_init) {
        struct timespec t = {.tv_sec = message.seconds, .tv_nsec = message.nanoseconds};
        /* struct rand_pool_info: bits, bytes, then the bytes themselves. */
        struct { int entropy_count, buf_size; uint8_t buf[SEED]; } pool = {.entropy_count = SEED * 8, .buf_size = SEED};
        memcpy(pool.buf, message.seed, SEED);
        int device = open("/dev/urandom", O_RDWR | O_CLOEXEC);
        if (clock_settime(CLOCK_REALTIME, &t) < 0 || device < 0 || ioctl(device, RNDADDENTROPY, &pool) < 0 || ioctl(device, RNDRESEEDCRNG) < 0)
            give_up("the clock or the random pool could not be set");
        close(device);
    }
    port_send(FRAME_AWAKE, 0, 0, NULL, 0);
}
