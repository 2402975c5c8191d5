/* frames.c: the frame decoder (see frames.h). No allocation, no I/O: the fuzz target drives exactly this. */
#include "frames.h"
#include <string.h>

static int plausible(const uint8_t header[FRAME_HEADER]) {
    uint16_t reserved;
    uint32_t length;
    memcpy(&reserved, header + 2, 2);
    memcpy(&length, header + 8, 4);
    return header[0] >= FRAME_HELLO && header[0] < FRAME_TYPES && reserved == 0 && length <= FRAME_MAX_PAYLOAD;
}

int decoder_take(struct decoder *decoder, const uint8_t **data, size_t *size, struct frame *frame) {
    for (;;) {
        uint32_t length = 0, want = FRAME_HEADER;
        if (decoder->have >= FRAME_HEADER) {
            if (!plausible(decoder->bytes))
                return -1;
            memcpy(&length, decoder->bytes + 8, 4);
            want += length;
            if (decoder->have == want) {
                frame->type = decoder->bytes[0];
                frame->flags = decoder->bytes[1];
                memcpy(&frame->channel, decoder->bytes + 4, 4);
                frame->length = length;
                frame->payload = decoder->bytes + FRAME_HEADER;
                decoder->have = 0;
                return 1;
            }
        }
        if (*size == 0)
            return 0;
        uint32_t more = want - decoder->have;
        if (more > *size)
            more = *size;
        memcpy(decoder->bytes + decoder->have, *data, more);
        decoder->have += more;
        *data += more;
        *size -= more;
    }
}

void frame_header(uint8_t out[FRAME_HEADER], uint8_t type, uint8_t flags, uint32_t channel, uint32_t length) {
    out[0] = type;
    out[1] = flags;
    out[2] = out[3] = 0;
    memcpy(out + 4, &channel, 4);
    memcpy(out + 8, &length, 4);
}

const char *next_string(const uint8_t **data, size_t *size) {
    const uint8_t *end = *size > 0 ? memchr(*data, 0, *size) : NULL;
    if (!end)
        return NULL;
    const char *string = (const char *)*data;
    *size -= (size_t)(end + 1 - *data);
    *data = end + 1;
    return string;
}
