/*
 * port.c: the one byte stream to the host, and what waits to be sent on it. The buffer is bounded: terminals and files are
 * read only while little waits (port_is_calm), requests only while their answers have room (port_has_room).
 */
#include "agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUFFER (256 * 1024)
#define CALM (64 * 1024)
#define ROOM (160 * 1024) /* beyond this no request is taken; one answer is at most FRAME_MAX_PAYLOAD */
#define PORT_NAME "org.tare.agent"

static int port = -1;
static uint8_t buffer[BUFFER];
static size_t begin, end;

int port_open(void) {
    /* Without udev there is no /dev/virtio-ports: the names are in sysfs (drivers/char/virtio_console.c). */
    DIR *ports = opendir("/sys/class/virtio-ports");
    if (!ports)
        return -1;
    int fd = -1;
    const struct dirent *entry;
    while (fd < 0 && (entry = readdir(ports))) {
        char path[300], name[64] = "";
        snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            continue;
        if (read(file, name, sizeof name - 1) > 0 && strncmp(name, PORT_NAME "\n", sizeof PORT_NAME) == 0) {
            snprintf(path, sizeof path, "/dev/%s", entry->d_name);
            fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        }
        close(file);
    }
    closedir(ports);
    return fd;
}

void port_use(int fd) {
    port = fd;
}

int port_fd(void) {
    return port;
}

bool port_is_calm(void) {
    return end - begin < CALM;
}

bool port_has_room(void) {
    return end - begin < ROOM;
}

bool port_waiting(void) {
    return end > begin;
}

void port_flush(void) {
    while (begin < end) {
        ssize_t sent = write(port, buffer + begin, end - begin);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (sent < 0 && errno == EPIPE)
            give_up("the host closed the port");
        if (sent <= 0)
            return;
        begin += (size_t)sent;
    }
    begin = end = 0;
}

void port_send(uint8_t type, uint8_t flags, uint32_t channel, const void *payload, uint32_t length) {
    if (end + FRAME_HEADER + length > BUFFER) {
        memmove(buffer, buffer + begin, end - begin);
        end -= begin;
        begin = 0;
    }
    if (end + FRAME_HEADER + length > BUFFER)
        give_up("the send buffer is full"); /* cannot be: whoever sends has asked for room */
    frame_header(buffer + end, type, flags, channel, length);
    if (length > 0)
        memcpy(buffer + end + FRAME_HEADER, payload, length);
    end += FRAME_HEADER + length;
}
