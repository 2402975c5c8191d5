/*
 * agent.h: every call that crosses the agent's files.
 *
 * main.c      what the program does, in order; the event loop
 * boot.c      from initramfs to a running system: modules, squashfs layers, overlay, /proc, /sys, cgroup2
 * frames.c    the frame decoder                       port.c      the virtio-serial port and what waits to be sent
 * channels.c  the table of channels: windows, ends    requests.c  frames to actions
 * launch.c    starts programs, on pipes or a pty      files.c     reads, writes and describes files
 * plans.c     runs stage and relays its reports       activity.c  tells the host that something happened
 * wake.c      clock and random pool after a restore   tsc.c       the frequency of the time stamp counter
 * seal.c      a snapshot's RAM in a sealed memfd, on the host
 */
#ifndef TARE_AGENT_H
#define TARE_AGENT_H
#include "frames.h"
#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

/* ---- main.c */
struct settings {
    bool is_init;      /* PID 1 of a machine; false in tests: no clock, no random pool, no power off */
    const char *stage; /* the plan interpreter */
};
extern struct settings settings;
/* The machine cannot go on: says why on the console and powers off (exits, in tests). */
_Noreturn void give_up(const char *what);

/* ---- boot.c */
void boot(void);
_Noreturn void power_off(void);

/* ---- port.c */
int port_open(void);           /* finds the virtio port named org.tare.agent */
void port_use(int fd);
int port_fd(void);
bool port_has_room(void);      /* for a DATA frame of PORT_CHUNK bytes and what control frames may need */
bool port_is_calm(void);       /* little waits: terminals may be read */
bool port_waiting(void);       /* bytes wait to be sent */
void port_flush(void);
void port_send(uint8_t type, uint8_t flags, uint32_t channel, const void *payload, uint32_t length);
#define PORT_CHUNK 16384

/* ---- channels.c */
#define MAX_CHANNELS 128
#define MAX_SOURCES 4

struct source {
    int fd;         /* -1: none, or at its end */
    uint8_t stream;
};

struct channel {
    uint32_t id;    /* 0: free */
    uint32_t kind;
    pid_t pid;      /* 0: no process */
    bool exited;
    int32_t status;
    uint32_t error;
    bool done;      /* END is due */
    struct source sources[MAX_SOURCES];
    uint32_t credit;      /* bytes that may be sent */
    uint64_t sent, limit; /* READ: EFBIG beyond the limit */
    uint8_t *reply;       /* an answer in memory (readdir), sent as credit allows */
    size_t reply_size, reply_at;
    int input;            /* where incoming data goes; -1: nowhere */
    bool input_ended;
    bool input_direct;    /* a file: written at once, no queue */
    uint8_t *queue;       /* FRAME_WINDOW bytes, once needed */
    size_t queue_at, queue_size;
    uint32_t window;      /* bytes that the host may still send */
    uint32_t grant;       /* bytes taken, not yet granted again */
    int slave;            /* PTY: kept open, so that the master never reports a hang-up */
    uint64_t received;
};

struct channel *channel_open(uint32_t id, uint32_t kind); /* NULL: too many, or in use */
struct channel *channel_find(uint32_t id);
struct channel *channel_of_pid(pid_t pid);
void channel_end(struct channel *channel, int32_t status, uint32_t error);
void channel_input(struct channel *channel, const uint8_t *data, uint32_t size);
void channel_input_end(struct channel *channel);
void channel_hang_up(struct channel *channel);
int channels_poll(struct pollfd *fds);            /* fills in what to wait for; at most MAX_POLL */
void channels_serve(const struct pollfd *fds, int count);
#define MAX_POLL (MAX_CHANNELS * (MAX_SOURCES + 1))

/* ---- launch.c */
struct launch {
    char **argv, **env;
    const char *cwd;
    const int *fds; /* descriptor i of the program is fds[i] */
    int fd_count;
    bool tty;       /* descriptor 0 becomes the controlling terminal */
};
pid_t launch(const struct launch *launch, int *error);
bool open_pty(struct channel *channel, uint16_t columns, uint16_t rows, int *slave);
void set_size(int fd, uint16_t columns, uint16_t rows);

/* ---- requests.c */
void request(const struct frame *frame);
void reap(void);

/* ---- files.c */
void file_read(struct channel *channel, const char *path, uint32_t most);
void file_readlink(struct channel *channel, const char *path);
void file_readdir(struct channel *channel, const char *path);
void file_stat(struct channel *channel, const char *path);
void file_write(struct channel *channel, const char *path, uint32_t mode);

/* ---- plans.c */
void plan_open(struct channel *channel, bool trace);
void plan_start(struct channel *channel);                                       /* the whole plan has arrived */
ssize_t plan_report(struct channel *channel, int fd, uint8_t *data, size_t size); /* one report */

/* ---- activity.c */
void activity_begin(void);
int activity_poll(struct pollfd *fds);   /* at most 2 */
void activity_serve(const struct pollfd *fds, int count);
int activity_timeout(void);              /* milliseconds until something is to be told; -1: nothing */
void activity_tell(void);

/* ---- wake.c */
void wake(const struct frame *frame);

/* ---- tsc.c */
uint64_t tsc_khz(void);

/* ---- seal.c */
int hold_sealed(const char *path);
#endif
