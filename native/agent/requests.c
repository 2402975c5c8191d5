/* requests.c: what each frame of the host makes the agent do, and what becomes of programs that end. */
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_STRINGS 1024

static void open_channel(const struct frame *frame);
static void open_program(struct channel *c, const struct open_request *r, const uint8_t *data, size_t size);

void request(const struct frame *frame) {
    if (frame->type == FRAME_WAKE) {
        wake(frame);
        return;
    }
    if (frame->type == FRAME_POWEROFF)
        power_off();
    if (frame->type == FRAME_OPEN) {
        open_channel(frame);
        return;
    }
    struct channel *c = channel_find(frame->channel);
    if (!c || c->done)
        return; /* it has ended, and the host did not know yet */
    uint32_t number = 0;
    uint16_t size[2] = {0, 0};
    if (frame->length >= sizeof number) {
        memcpy(&number, frame->payload, sizeof number);
        memcpy(size, frame->payload, sizeof size);
    }
    switch (frame->type) {
    case FRAME_DATA:
        channel_input(c, frame->payload, frame->length);
        break;
    case FRAME_EOF:
        channel_input_end(c);
        break;
    case FRAME_CREDIT:
        if (number > FRAME_WINDOW || c->credit + number > FRAME_WINDOW)
            give_up("the host granted more than a window");
        c->credit += number;
        break;
    case FRAME_RESIZE:
        if (c->kind == OPEN_PTY && c->input >= 0)
            set_size(c->input, size[0], size[1]);
        break;
    case FRAME_SIGNAL:
        if (c->pid > 0 && !c->exited && number < NSIG)
            kill(-c->pid, (int)number);
        break;
    case FRAME_CLOSE:
        channel_hang_up(c);
        break;
    default:
        give_up("the host sent a frame that only the agent sends");
    }
}

static void open_channel(const struct frame *frame) {
    struct open_request r;
    const uint8_t *data = frame->payload + sizeof r;
    size_t size = frame->length - sizeof r;
    if (frame->length < sizeof r)
        give_up("the host sent a malformed request");
    memcpy(&r, frame->payload, sizeof r);
    struct channel *c = channel_open(frame->channel, r.kind);
    if (!c) {
        struct { int32_t status; uint32_t error; } end = {-1, EMFILE};
        port_send(FRAME_END, 0, frame->channel, &end, sizeof end);
        return;
    }
    if (r.kind == OPEN_PTY || r.kind == OPEN_EXEC) {
        open_program(c, &r, data, size);
        return;
    }
    if (r.kind == OPEN_PLAN) {
        plan_open(c, r.a & 1);
        return;
    }
    const char *path = next_string(&data, &size);
    if (!path || r.kind >= OPEN_KINDS)
        channel_end(c, -1, EINVAL);
    else if (r.kind == OPEN_READ)
        file_read(c, path, r.a);
    else if (r.kind == OPEN_READLINK)
        file_readlink(c, path);
    else if (r.kind == OPEN_READDIR)
        file_readdir(c, path);
    else if (r.kind == OPEN_STAT)
        file_stat(c, path);
    else
        file_write(c, path, r.a);
}

/* Standard streams: a pty thrice, or three pipes, of which the agent keeps the other ends. */
static bool open_streams(struct channel *c, const struct open_request *r, int streams[3]) {
    if (c->kind == OPEN_PTY) {
        int slave;
        if (!open_pty(c, (uint16_t)r->a, (uint16_t)r->b, &slave))
            return false;
        streams[0] = streams[1] = streams[2] = slave;
        return true;
    }
    for (int i = 0; i < 3; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0) {
            while (--i >= 0)
                close(streams[i]);
            return false;
        }
        int mine = i == 0 ? ends[1] : ends[0];
        streams[i] = i == 0 ? ends[0] : ends[1];
        fcntl(mine, F_SETFL, O_NONBLOCK);
        if (i == 0)
            c->input = mine;
        else
            c->sources[i - 1] = (struct source){.fd = mine, .stream = (uint8_t)i};
    }
    return true;
}

static void open_program(struct channel *c, const struct open_request *r, const uint8_t *data, size_t size) {
    static char *strings[MAX_STRINGS + 2]; /* arguments, NULL, environment, NULL */
    static char *login[] = {"-bash", NULL};
    int count = 0;
    const char *cwd = next_string(&data, &size), *string;
    while ((string = next_string(&data, &size)) && count < MAX_STRINGS) {
        if ((uint32_t)count == r->c)
            strings[count++] = NULL;
        strings[count++] = (char *)string;
    }
    if (!cwd || size > 0 || (uint32_t)count < r->c || (c->kind == OPEN_EXEC && r->c == 0)) {
        channel_end(c, -1, count >= MAX_STRINGS ? E2BIG : EINVAL);
        return;
    }
    if ((uint32_t)count == r->c)
        strings[count++] = NULL;
    strings[count] = NULL;
    int streams[3], error;
    if (!open_streams(c, r, streams)) {
        channel_end(c, -1, (uint32_t)errno);
        return;
    }
    struct launch l = {
        .argv = r->c == 0 ? login : strings, .env = strings + r->c + 1, .cwd = *cwd ? cwd : "/root",
        .fds = streams, .fd_count = 3, .tty = c->kind == OPEN_PTY,
    };
    pid_t pid = launch(&l, &error);
    for (int i = 0; i < 3 && c->kind == OPEN_EXEC; i++)
        close(streams[i]);
    if (pid < 0) {
        channel_end(c, -1, (uint32_t)error);
        return;
    }
    c->pid = pid;
    uint32_t number = (uint32_t)pid;
    port_send(FRAME_STARTED, 0, c->id, &number, sizeof number);
}

void reap(void) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct channel *c = channel_of_pid(pid);
        if (!c)
            continue; /* an orphan: to be reaped is all it needs */
        c->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        c->exited = true;
    }
}
