/*
 * main.c: the guest agent. PID 1 of a virtual machine: boots it, then serves the host through one virtio-serial port: terminals,
 * commands, files, plans. One thread, one poll loop; nothing in it may wait for the learner's programs.
 *
 *   /init                                 in the initramfs
 *   agent --test-fd N [--stage PATH]      on a socket, for tests: touches neither clock nor random pool
 *   agent --tsc-khz                       prints the frequency of the time stamp counter (on the host)
 *   agent --seal FILE                     holds the file's contents in a sealed memfd (on the host)
 */
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct settings settings = {.stage = "/opt/tare/dist/native/stage"};

static uint8_t input[65536];
static const uint8_t *unread = input;
static size_t unread_size;
static struct decoder decoder;

void give_up(const char *what) {
    fprintf(stderr, "agent: %s (%s)\n", what, strerror(errno));
    if (settings.is_init)
        power_off();
    exit(1);
}

static int open_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM); /* busybox's reboot, poweroff and halt */
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void serve_signals(int fd) {
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGCHLD)
            power_off();
    reap();
}

/* Frames are taken only while the port has room for their answers; the rest waits. */
static void serve_port(bool readable) {
    if (readable && unread_size == 0) {
        ssize_t n = read(port_fd(), input, sizeof input);
        if (n == 0 && !settings.is_init)
            exit(0);
        unread = input;
        unread_size = n > 0 ? (size_t)n : 0;
    }
    while (port_has_room()) {
        struct frame frame;
        int got = decoder_take(&decoder, &unread, &unread_size, &frame);
        if (got < 0)
            give_up("the host sent a malformed frame");
        if (got == 0)
            return;
        request(&frame);
    }
}

static void say_hello(void) {
    uint32_t hello[2] = {FRAME_VERSION, FRAME_WINDOW};
    port_send(FRAME_HELLO, 0, 0, hello, sizeof hello);
}

static _Noreturn void loop(int signals) {
    static struct pollfd fds[4 + MAX_POLL];
    for (;;) {
        fds[0] = (struct pollfd){.fd = port_fd(), .events = (short)((unread_size == 0 ? POLLIN : 0) | (port_waiting() ? POLLOUT : 0))};
        fds[1] = (struct pollfd){.fd = signals, .events = POLLIN};
        int activity = activity_poll(fds + 2);
        int channels = channels_poll(fds + 2 + activity);
        if (poll(fds, (nfds_t)(2 + activity + channels), activity_timeout()) < 0 && errno != EINTR)
            give_up("poll");
        if (fds[1].revents)
            serve_signals(signals);
        channels_serve(fds + 2 + activity, channels);
        activity_serve(fds + 2, activity);
        serve_port(fds[0].revents & POLLIN);
        channels_serve(NULL, 0); /* what the requests just taken can be answered at once */
        activity_tell();
        port_flush();
        if (fds[0].revents & POLLHUP && settings.is_init)
            usleep(20000); /* nobody at the other end: do not spin */
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--tsc-khz") == 0) {
        printf("%llu\n", (unsigned long long)tsc_khz());
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--seal") == 0)
        return hold_sealed(argv[2]);
    if (getpid() == 1) {
        settings.is_init = true;
        boot();
        int fd;
        for (int tries = 0; (fd = port_open()) < 0; tries++) {
            if (tries == 500)
                give_up("no port named org.tare.agent");
            usleep(10000);
        }
        port_use(fd);
    } else if (argc >= 3 && strcmp(argv[1], "--test-fd") == 0) {
        port_use(atoi(argv[2]));
        if (argc == 5 && strcmp(argv[3], "--stage") == 0)
            settings.stage = argv[4];
        fcntl(port_fd(), F_SETFL, O_NONBLOCK);
        fcntl(port_fd(), F_SETFD, FD_CLOEXEC);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    } else {
        fprintf(stderr, "agent: runs as PID 1 of a virtual machine, or: agent --test-fd N [--stage PATH] | --tsc-khz | --seal FILE\n");
        return 2;
    }
    int signals = open_signals();
    activity_begin();
    say_hello();
    loop(signals);
}
