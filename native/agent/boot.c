/*
 * boot.c: from the initramfs to a running system. Modules, the two read-only layers (vda: Debian, vdb: Tare), a RAM overlay over
 * them, the file systems that Linux programs expect, cgroup2 with every controller delegated, and what the machine's own
 * script adds. The result is what a learner would find after a distribution's boot: / is shared (as systemd leaves it), loopback is up.
 */
#include "agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void load_modules(void);
static void mount_layers(void);
static void enter_root(void);
static void mount_all(void);
static void delegate_cgroups(void);
static void loopback_up(void);
static void run_script(void);

void boot(void) {
    umask(022);
    load_modules();
    mount_layers();
    enter_root();
    mount_all();
    delegate_cgroups();
    loopback_up();
    if (sethostname("lab", 3) < 0)
        give_up("sethostname");
    umask(022);
    run_script();
}

void power_off(void) {
    sync();
    /* microvm has no power switch; QEMU runs with -no-reboot, so that a reset ends it. */
    if (settings.is_init)
        reboot(RB_AUTOBOOT);
    exit(0);
}

static void must_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
    mkdir(target, 0755);
    if (mount(source, target, type, flags, data) < 0) {
        fprintf(stderr, "agent: mount(%s, %s, %s)\n", source, target, type);
        give_up("a file system could not be mounted");
    }
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* /modules holds 00-virtio_ring.ko and so on: the host has put them in the order of their needs. */
static void load_modules(void) {
    struct dirent **entries;
    int count = scandir("/modules", &entries, NULL, by_name);
    for (int i = 0; i < count; i++) {
        char path[300];
        snprintf(path, sizeof path, "/modules/%s", entries[i]->d_name);
        int fd = entries[i]->d_name[0] == '.' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST) {
            fprintf(stderr, "agent: %s\n", path);
            give_up("a kernel module could not be loaded");
        }
        if (fd >= 0)
            close(fd);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void wait_for(const char *device) {
    for (int tries = 0; access(device, F_OK) < 0; tries++) {
        if (tries == 1000)
            give_up("a disk is missing");
        usleep(5000);
    }
}

static void mount_layers(void) {
    must_mount("dev", "/dev", "devtmpfs", 0, NULL);
    wait_for("/dev/vda");
    wait_for("/dev/vdb");
    must_mount("/dev/vda", "/base", "squashfs", MS_RDONLY, NULL);
    must_mount("/dev/vdb", "/tare", "squashfs", MS_RDONLY, NULL);
    must_mount("tmpfs", "/ram", "tmpfs", 0, "size=60%,mode=755");
    mkdir("/ram/upper", 0755);
    mkdir("/ram/work", 0755);
    must_mount("overlay", "/root", "overlay", 0, "lowerdir=/tare:/base,upperdir=/ram/upper,workdir=/ram/work");
    must_mount("/dev", "/root/dev", NULL, MS_MOVE, NULL);
}

/* What switch_root(8) does: pivot_root(2) refuses to leave the initramfs, so the new root is moved over it. */
static void enter_root(void) {
    unlink("/init");
    if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        give_up("the root could not be entered");
}

static void mount_all(void) {
    const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    must_mount("proc", "/proc", "proc", safe, NULL);
    must_mount("sysfs", "/sys", "sysfs", safe, NULL);
    must_mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666");
    must_mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    must_mount("mqueue", "/dev/mqueue", "mqueue", safe, NULL);
    must_mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=20%");
    must_mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    must_mount("cgroup2", "/sys/fs/cgroup", "cgroup2", safe, "nsdelegate");
    if (symlink("/proc/self/fd", "/dev/fd") < 0 || symlink("fd/0", "/dev/stdin") < 0 || symlink("fd/1", "/dev/stdout") < 0 ||
        symlink("fd/2", "/dev/stderr") < 0)
        give_up("/dev could not be completed");
    mkdir("/run/lock", 01777);
    if (mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) < 0)
        give_up("/ could not be made shared");
}

static void delegate_cgroups(void) {
    char names[512], line[600];
    int fd = open("/sys/fs/cgroup/cgroup.controllers", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, names, sizeof names - 1);
    if (size < 0)
        give_up("no cgroup controllers");
    close(fd);
    names[size] = 0;
    fd = open("/sys/fs/cgroup/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
    for (char *name = strtok(names, " \n"); name; name = strtok(NULL, " \n")) {
        int length = snprintf(line, sizeof line, "+%s", name);
        /* One at a time: a controller that cannot be delegated must not keep the others. */
        if (write(fd, line, (size_t)length) < 0)
            fprintf(stderr, "agent: cgroup controller %s: %s\n", name, strerror(errno));
    }
    if (fd >= 0)
        close(fd);
}

static void loopback_up(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        give_up("loopback could not be brought up");
    close(fd);
}

/* What a shell says more shortly than C; the host has put it into the Tare layer. A machine in which it fails still serves. */
static void run_script(void) {
    static char *const arguments[] = {"sh", "-e", "/etc/tare/boot", NULL};
    static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    if (access(arguments[2], F_OK) < 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        execve("/bin/sh", arguments, environment);
        _exit(127);
    }
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
        fprintf(stderr, "agent: %s: wait status %d\n", arguments[2], status);
}
