/* fuzz_frames.c: libFuzzer target for the frame decoder: any bytes, cut anywhere, never read or written out of bounds. */
#include "frames.h"
#include <stdlib.h>
#include <string.h>

static struct decoder decoder;

static void strings(const struct frame *frame) {
    const uint8_t *data = frame->payload;
    size_t size = frame->length;
    const char *string;
    while ((string = next_string(&data, &size)))
        if (strlen(string) > frame->length)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    size_t cut = 1 + data[0] % 97; /* the size of the reads */
    data++, size--;
    memset(&decoder, 0, FRAME_HEADER);
    decoder.have = 0;
    while (size > 0) {
        size_t part = size < cut ? size : cut;
        const uint8_t *at = data;
        size_t left = part;
        struct frame frame;
        int got;
        while ((got = decoder_take(&decoder, &at, &left, &frame)) == 1) {
            if (frame.length > FRAME_MAX_PAYLOAD || frame.type >= FRAME_TYPES)
                abort();
            strings(&frame);
        }
        if (got < 0)
            return 0;
        if (left != 0)
            abort();
        data += part;
        size -= part;
    }
    return 0;
}
