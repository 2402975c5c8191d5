/*
 * frames.h: what the guest's agent and the host say to each other over one byte stream (a virtio-serial port). Each
 * message is a frame: a header of 12 bytes and at most 64 KiB of payload. All numbers are little endian.
 * runtime/vm/frames.ts is the other side. The decoder trusts nothing: a header that breaks a bound ends the conversation.
 *
 * A channel is one terminal, command, file request or plan. The host numbers them, from 1 up, and never uses a number
 * twice. The agent's END is the last frame of a channel; what the host sends to a channel that has ended is ignored.
 *
 * Back-pressure: each side may send FRAME_WINDOW payload bytes of DATA per channel, and then as many as the other's
 * CREDIT frames allow. So a flooding terminal fills its own window and no more.
 */
#ifndef TARE_AGENT_FRAMES_H
#define TARE_AGENT_FRAMES_H
#include <stddef.h>
#include <stdint.h>

#define FRAME_VERSION 1
#define FRAME_HEADER 12
#define FRAME_MAX_PAYLOAD 65536
#define FRAME_WINDOW (128 * 1024)

enum frame_type {
    FRAME_HELLO = 1, /* agent, channel 0: u32 version, u32 window. The first frame after boot */
    FRAME_WAKE,      /* host, channel 0: i64 seconds, u32 nanoseconds, u32 0, 64 bytes of seed: set the clock, reseed */
    FRAME_AWAKE,     /* agent, channel 0: the answer to WAKE */
    FRAME_OPEN,      /* host: struct open_request and strings */
    FRAME_STARTED,   /* agent: u32 pid */
    FRAME_DATA,      /* both; flags: the stream (0 in, 1 out, 2 err; of a plan, the lane) */
    FRAME_EOF,       /* host: no more input */
    FRAME_CREDIT,    /* both: u32 more bytes that may be sent */
    FRAME_RESIZE,    /* host: u16 columns, u16 rows */
    FRAME_SIGNAL,    /* host: u32 signal for the process group */
    FRAME_CLOSE,     /* host: hang up, kill, forget */
    FRAME_END,       /* agent: i32 status (exit status, 128+n), u32 errno; the channel is gone */
    FRAME_ACTIVITY,  /* agent, channel 0; flags: ACTIVITY_*. Debounced */
    FRAME_POWEROFF,  /* host, channel 0 */
    FRAME_TYPES
};

enum open_kind { OPEN_PTY = 1, OPEN_EXEC, OPEN_READ, OPEN_READLINK, OPEN_READDIR, OPEN_STAT, OPEN_WRITE, OPEN_PLAN, OPEN_KINDS };

/* Strings follow, each with a NUL byte.
 *   PTY   a: columns, b: rows, c: number of arguments;  strings: cwd, arguments, environment (NAME=value)
 *   EXEC  c: number of arguments;                       strings: as PTY
 *   READ  a: most bytes;                                strings: path
 *   READLINK, READDIR, STAT                             strings: path
 *   WRITE a: mode;                                      strings: path. Data, then EOF
 *   PLAN  a: 1 for --trace;                             Data, then EOF
 * An empty list of arguments of PTY is a login shell; an empty cwd is /root. */
struct open_request {
    uint32_t kind, a, b, c;
};

/* The DATA of STAT. */
struct stat_reply {
    uint64_t dev, ino, size, rdev;
    uint32_t mode, uid, gid, reserved;
};

#define ACTIVITY_PROCESSES 1
#define ACTIVITY_MOUNTS 2

struct frame {
    uint8_t type, flags;
    uint32_t channel, length;
    const uint8_t *payload; /* valid until the decoder is used again */
};

/* Puts a byte stream together into frames. Begin with a zeroed one. */
struct decoder {
    uint32_t have; /* bytes of the current frame, header included */
    uint8_t bytes[FRAME_HEADER + FRAME_MAX_PAYLOAD];
};

/* Takes bytes from *data (advancing it) until a frame is whole. 1: a frame; 0: all taken, none yet; -1: malformed. */
int decoder_take(struct decoder *decoder, const uint8_t **data, size_t *size, struct frame *frame);

/* Writes a header. */
void frame_header(uint8_t out[FRAME_HEADER], uint8_t type, uint8_t flags, uint32_t channel, uint32_t length);

/* The next string of an OPEN's payload, or NULL when there is none or it lacks its NUL byte. */
const char *next_string(const uint8_t **data, size_t *size);
#endif
