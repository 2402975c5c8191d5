/*
 * channels.c: the table of channels. Each has at most one input (queue, then descriptor) and four sources. A source is read
 * only while the host has granted credit and the port is calm, one chunk a turn, so that no channel starves another;
 * when the credit is used up, the program blocks in its own write(2), as it would on a slow terminal.
 */
#include "agent.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct channel channels[MAX_CHANNELS];
/* What each entry of the poll set stands for: a source's index, or INPUT. */
static struct { struct channel *channel; uint32_t id; int source; } polled[MAX_POLL];
#define INPUT (-1)

struct channel *channel_open(uint32_t id, uint32_t kind) {
    if (id == 0 || channel_find(id))
        return NULL;
    for (struct channel *c = channels; c < channels + MAX_CHANNELS; c++) {
        if (c->id != 0)
            continue;
        *c = (struct channel){.id = id, .kind = kind, .credit = FRAME_WINDOW, .window = FRAME_WINDOW, .input = -1, .slave = -1, .limit = UINT64_MAX};
        for (int i = 0; i < MAX_SOURCES; i++)
            c->sources[i].fd = -1;
        return c;
    }
    return NULL;
}

struct channel *channel_find(uint32_t id) {
    for (struct channel *c = channels; c < channels + MAX_CHANNELS; c++)
        if (id != 0 && c->id == id)
            return c;
    return NULL;
}

struct channel *channel_of_pid(pid_t pid) {
    for (struct channel *c = channels; c < channels + MAX_CHANNELS; c++)
        if (c->id != 0 && c->pid == pid)
            return c;
    return NULL;
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_input(struct channel *c) {
    /* A pty's input is its master, which is also its source. */
    if (c->kind == OPEN_PTY)
        c->input = -1;
    close_fd(&c->input);
    free(c->queue);
    c->queue = NULL;
    c->queue_size = 0;
}

void channel_end(struct channel *c, int32_t status, uint32_t error) {
    close_input(c);
    for (int i = 0; i < MAX_SOURCES; i++)
        close_fd(&c->sources[i].fd);
    close_fd(&c->slave);
    free(c->reply);
    c->reply = NULL;
    c->reply_size = c->reply_at = 0;
    c->status = status;
    c->error = error;
    c->done = true;
}

/* Writes what the descriptor takes; the rest waits in the queue. */
static void flush_input(struct channel *c) {
    while (c->queue_size > 0) {
        ssize_t n = write(c->input, c->queue + c->queue_at, c->queue_size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) { /* nobody reads any more (EPIPE, EIO): what comes is dropped, the program's end tells the rest */
            c->grant += (uint32_t)c->queue_size;
            close_input(c);
            return;
        }
        c->queue_at += (size_t)n;
        c->queue_size -= (size_t)n;
        c->grant += (uint32_t)n;
    }
    c->queue_at = 0;
    if (c->input_ended)
        close_input(c);
}

static void write_direct(struct channel *c, const uint8_t *data, uint32_t size) {
    c->grant += size;
    while (size > 0) {
        ssize_t n = write(c->input, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            channel_end(c, -1, n < 0 ? (uint32_t)errno : EIO);
            return;
        }
        data += n;
        size -= (uint32_t)n;
        c->received += (uint64_t)n;
    }
}

void channel_input(struct channel *c, const uint8_t *data, uint32_t size) {
    if (size > c->window)
        give_up("the host sent more than its window");
    c->window -= size;
    if (c->input < 0 || c->input_ended) {
        c->grant += size;
        return;
    }
    if (c->input_direct) {
        write_direct(c, data, size);
        return;
    }
    if (!c->queue && !(c->queue = malloc(FRAME_WINDOW)))
        give_up("no memory");
    if (c->queue_at + c->queue_size + size > FRAME_WINDOW) {
        memmove(c->queue, c->queue + c->queue_at, c->queue_size);
        c->queue_at = 0;
    }
    memcpy(c->queue + c->queue_at + c->queue_size, data, size);
    c->queue_size += size;
    flush_input(c);
}

void channel_input_end(struct channel *c) {
    if (c->input < 0 || c->kind == OPEN_PTY)
        return;
    if (c->kind == OPEN_PLAN) {
        plan_start(c);
        return;
    }
    c->input_ended = true;
    if (!c->input_direct) {
        flush_input(c);
        return;
    }
    int error = close(c->input) == 0 ? 0 : errno;
    c->input = -1;
    channel_end(c, 0, (uint32_t)error);
}

void channel_hang_up(struct channel *c) {
    /* Closing a pty's master sends SIGHUP to its session, as a terminal window that is closed does. */
    if (c->pid > 0 && c->kind == OPEN_EXEC)
        kill(-c->pid, SIGKILL);
    if (c->pid > 0 && c->kind == OPEN_PLAN)
        kill(c->pid, SIGKILL); /* its container is killed with it */
    channel_end(c, -1, 0);
}

int channels_poll(struct pollfd *fds) {
    int count = 0;
    bool calm = port_is_calm();
    for (struct channel *c = channels; c < channels + MAX_CHANNELS; c++) {
        if (c->id == 0)
            continue;
        /* Files need no waiting for, and poll(2) of a FIFO that never had a writer would wait for ever. */
        for (int i = 0; calm && c->credit > 0 && c->kind != OPEN_READ && i < MAX_SOURCES; i++) {
            if (c->sources[i].fd < 0 || (c->kind == OPEN_PLAN && c->credit < PORT_CHUNK))
                continue;
            polled[count].channel = c, polled[count].id = c->id, polled[count].source = i;
            fds[count++] = (struct pollfd){.fd = c->sources[i].fd, .events = POLLIN};
        }
        if (c->queue_size > 0) {
            polled[count].channel = c, polled[count].id = c->id, polled[count].source = INPUT;
            fds[count++] = (struct pollfd){.fd = c->input, .events = POLLOUT};
        }
    }
    return count;
}

/* One chunk from a source to the port. False when there is nothing more for now, or for good. */
static bool read_source(struct channel *c, int index) {
    static uint8_t chunk[PORT_CHUNK];
    struct source *source = &c->sources[index];
    if (source->fd < 0 || c->credit == 0 || !port_is_calm() || (c->kind == OPEN_PLAN && c->credit < PORT_CHUNK))
        return false;
    size_t most = c->credit < PORT_CHUNK ? c->credit : PORT_CHUNK;
    ssize_t n = c->kind == OPEN_PLAN ? plan_report(c, source->fd, chunk, most) : read(source->fd, chunk, most);
    if (n < 0 && errno == EINTR)
        return true;
    if (n < 0 && errno == EAGAIN && c->pid > 0 && !c->exited)
        return false;
    if (n > 0 && c->sent + (uint64_t)n > c->limit) {
        channel_end(c, -1, EFBIG);
        return false;
    }
    if (n > 0) {
        port_send(FRAME_DATA, source->stream, c->id, chunk, (uint32_t)n);
        c->credit -= (uint32_t)n;
        c->sent += (uint64_t)n;
        return true;
    }
    if (n < 0 && c->kind == OPEN_READ) {
        channel_end(c, -1, (uint32_t)errno);
        return false;
    }
    close_fd(&source->fd);
    if (c->kind == OPEN_PTY)
        c->input = -1; /* the same descriptor */
    return false;
}

static void send_reply(struct channel *c) {
    while (c->reply_at < c->reply_size && c->credit > 0 && port_is_calm()) {
        size_t n = c->reply_size - c->reply_at;
        if (n > PORT_CHUNK)
            n = PORT_CHUNK;
        if (n > c->credit)
            n = c->credit;
        port_send(FRAME_DATA, 1, c->id, c->reply + c->reply_at, (uint32_t)n);
        c->reply_at += n;
        c->credit -= (uint32_t)n;
    }
}

static bool finished(const struct channel *c) {
    for (int i = 0; i < MAX_SOURCES; i++)
        if (c->sources[i].fd >= 0)
            return false;
    if (c->reply_at < c->reply_size)
        return false;
    return c->pid > 0 ? c->exited : c->input < 0;
}

/* What follows from a channel's state, whatever brought it there. */
static void settle(struct channel *c) {
    if (!c->done) {
        send_reply(c);
        /* When the program has ended, what it left is sent; what a child of its holds open is not waited for. */
        for (int i = 0; (c->exited || c->kind == OPEN_READ) && i < MAX_SOURCES; i++)
            while (read_source(c, i))
                ;
    }
    if (!c->done && finished(c))
        channel_end(c, c->status, c->error);
    if (!port_has_room())
        return;
    if (!c->done && c->grant >= FRAME_WINDOW / 4) {
        port_send(FRAME_CREDIT, 0, c->id, &c->grant, sizeof c->grant);
        c->window += c->grant;
        c->grant = 0;
    }
    if (c->done) {
        struct { int32_t status; uint32_t error; } end = {c->status, c->error};
        port_send(FRAME_END, 0, c->id, &end, sizeof end);
        c->id = 0;
    }
}

void channels_serve(const struct pollfd *fds, int count) {
    for (int i = 0; i < count; i++) {
        struct channel *c = polled[i].channel;
        if (fds[i].revents == 0 || c->id != polled[i].id || c->done)
            continue;
        if (polled[i].source == INPUT)
            flush_input(c);
        else
            read_source(c, polled[i].source);
    }
    for (struct channel *c = channels; c < channels + MAX_CHANNELS; c++)
        if (c->id != 0)
            settle(c);
}
