/*
 * bare: what a container costs when nobody explains it. The namespaces, mounts, masked paths, cgroup placement and limits of
 * Tare's default container, done straight in C with the cheapest calls there are; the measure for stage.
 *
 *   bare [-t] ROOTFS [CGROUP_DIR ...] -- CMD [ARG ...]
 *
 * -t prints what each part has taken, a line "NAME MICROSECONDS" for each, before CMD begins. Each CGROUP_DIR is made, limited (pids.max, memory) where it has such a file, and entered; the
 * caller removes it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_CGROUPS 32
#define MAX_PARTS 32

static void die(const char *what)
{
    perror(what);
    _exit(125);
}

static void need(int result, const char *what)
{
    if (result < 0)
        die(what);
}

static struct {
    const char *name;
    double microseconds;
} parts[MAX_PARTS];
static int part_count;
static struct timespec last;

/* What was done since the last part, or the start, is called so. */
static void part(const char *name)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (name && part_count < MAX_PARTS) {
        parts[part_count].name = name;
        parts[part_count++].microseconds =
            (double)(now.tv_sec - last.tv_sec) * 1e6 + (double)(now.tv_nsec - last.tv_nsec) / 1e3;
    }
    last = now;
}

static void print_parts(void)
{
    for (int i = 0; i < part_count; i++)
        printf("%s %.1f\n", parts[i].name, parts[i].microseconds);
    fflush(stdout);
}

/* A new cpuset takes no process until it has processors and memory nodes: the parent's. */
static void inherit(int dir, const char *file, const char *parent)
{
    char value[128];
    int from = openat(dir, parent, O_RDONLY | O_CLOEXEC), to = openat(dir, file, O_WRONLY | O_CLOEXEC);
    if (from >= 0 && to >= 0) {
        ssize_t size = read(from, value, sizeof value);
        if (size < 0 || write(to, value, (size_t)size) < 0)
            die(file);
    }
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
}

/* Writes a control file if the cgroup has it. */
static void limit(int dir, const char *file, const char *value)
{
    int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, value, strlen(value)) < 0)
        die(file);
    close(fd);
}

static void bind_over(const char *source, const char *target, unsigned long flags)
{
    if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return;
        die(target);
    }
    if (flags)
        need(mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | flags, NULL), target);
}

static void device(const char *name, mode_t mode, int major, int minor)
{
    need(mknod(name, S_IFCHR | mode, makedev(major, minor)), name);
}

static void loopback(void)
{
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    need(s, "socket");
    need(ioctl(s, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
    close(s);
}

static void mounts(const char *root, char **cgroups, int count)
{
    static const char *masked_files[] = {"proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats",
                                         "proc/timer_list", "proc/timer_stats", "proc/sched_debug"};
    static const char *masked_folders[] = {"proc/asound", "proc/acpi", "proc/scsi", "sys/firmware",
                                           "sys/devices/virtual/powercap"};
    static const char *readonly[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};

    need(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "slave");
    need(mount(root, root, NULL, MS_BIND | MS_REC, NULL), root);
    need(chdir(root), root);
    part("root");
    need(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
    part("proc");
    need(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"), "dev");
    part("tmpfs");
    mkdir("dev/pts", 0755), mkdir("dev/shm", 01777), mkdir("dev/mqueue", 0755);
    need(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"), "pts");
    part("devpts");
    need(mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=65536k"), "shm");
    part("shm");
    need(mount("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "mqueue");
    part("mqueue");
    need(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL), "sys");
    part("sysfs");
    if (count > 0) {
        need(mount("cgroup", "sys/fs/cgroup", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755"), "cgroup");
        for (int i = 0; i < count; i++) {
            const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
            char target[256];
            /* /sys/fs/cgroup/NAME/...: the hierarchy's name is the third part. */
            const char *name = cgroups[i] + strlen("/sys/fs/cgroup/");
            int size = (int)strcspn(name, "/");
            snprintf(target, sizeof target, "sys/fs/cgroup/%.*s", size, name);
            need(mkdir(target, 0755), target);
            /* A new mount of version 1 looks at every cgroup there is; a bind mount, which shows the same, at none. */
            if (size == 7 && strncmp(name, "unified", 7) == 0) {
                need(mount("cgroup", target, "cgroup2", flags, NULL), target);
            } else {
                need(mount(cgroups[i], target, NULL, MS_BIND, NULL), target);
                need(mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | flags, NULL), target);
            }
        }
        need(mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL),
             "cgroup ro");
    }
    part("cgroup-mounts");
    umask(0);
    device("dev/null", 0666, 1, 3), device("dev/zero", 0666, 1, 5), device("dev/full", 0666, 1, 7);
    device("dev/random", 0666, 1, 8), device("dev/urandom", 0666, 1, 9), device("dev/tty", 0666, 5, 0);
    umask(022);
    need(symlink("pts/ptmx", "dev/ptmx"), "ptmx"), need(symlink("/proc/self/fd", "dev/fd"), "fd");
    need(symlink("/proc/self/fd/0", "dev/stdin"), "stdin"), need(symlink("/proc/self/fd/1", "dev/stdout"), "stdout");
    need(symlink("/proc/self/fd/2", "dev/stderr"), "stderr"), need(symlink("/proc/kcore", "dev/core"), "core");
    part("devices");

    for (size_t i = 0; i < sizeof readonly / sizeof *readonly; i++)
        bind_over(readonly[i], readonly[i], MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
    for (size_t i = 0; i < sizeof masked_files / sizeof *masked_files; i++)
        bind_over("dev/null", masked_files[i], 0);
    for (size_t i = 0; i < sizeof masked_folders / sizeof *masked_folders; i++)
        if (mount("tmpfs", masked_folders[i], "tmpfs", MS_RDONLY, "size=0") < 0 && errno != ENOENT)
            die(masked_folders[i]);
    part("masks");

    need((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
    part("pivot_root");
    need(umount2(".", MNT_DETACH), "umount2");
    part("umount2");
    need(chdir("/"), "chdir");
}

int main(int argc, char **argv)
{
    int timed = argc > 1 && strcmp(argv[1], "-t") == 0;
    argc -= timed, argv += timed;
    char **cgroups = argv + 2;
    static const char *devices[] = {"c *:* m",     "b *:* m",     "c 1:3 rwm",   "c 1:5 rwm",   "c 1:7 rwm",
                                    "c 1:8 rwm",   "c 1:9 rwm",   "c 5:0 rwm",   "c 5:2 rwm",   "c 136:* rwm"};
    int count = 0, procs[MAX_CGROUPS], into = -1;
    while (2 + count < argc && strcmp(argv[2 + count], "--") != 0)
        count++;
    if (argc < 4 + count || count > MAX_CGROUPS) {
        fprintf(stderr, "usage: bare [-t] ROOTFS [CGROUP_DIR ...] -- CMD [ARG ...]\n");
        return 125;
    }
    char **command = argv + 2 + count + 1;

    part(NULL);
    for (int i = 0; i < count; i++) {
        need(mkdir(cgroups[i], 0755), cgroups[i]);
        int dir = open(cgroups[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        need(dir, cgroups[i]);
        inherit(dir, "cpuset.cpus", "../cpuset.cpus");
        inherit(dir, "cpuset.mems", "../cpuset.mems");
        limit(dir, "devices.deny", "a *:* rwm");
        for (size_t d = 0; d < sizeof devices / sizeof *devices; d++)
            limit(dir, "devices.allow", devices[d]);
        limit(dir, "pids.max", "100");
        limit(dir, "memory.limit_in_bytes", "67108864");
        limit(dir, "memory.max", "67108864");
        if (faccessat(dir, "cgroup.type", F_OK, 0) == 0) { /* version 2: entered by clone3 */
            procs[i] = -1;
            into = dir;
            continue;
        }
        procs[i] = openat(dir, "tasks", O_WRONLY | O_CLOEXEC);
        need(procs[i], "tasks");
        close(dir);
    }

    part("cgroups");
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET,
        .exit_signal = SIGCHLD,
    };
    if (into >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)into;
    }
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    need(pid, "clone3");
    if (pid == 0) {
        part("clone3");
        for (int i = 0; i < count; i++)
            if (procs[i] >= 0)
                need((int)write(procs[i], "0", 1), "tasks");
        need(unshare(CLONE_NEWCGROUP), "unshare");
        part("enter-cgroups");
        need(sethostname("bare", 4), "sethostname");
        loopback();
        part("network");
        mounts(argv[1], cgroups, count);
        if (timed)
            print_parts();
        execv(command[0], command);
        die(command[0]);
    }
    int status;
    need(waitpid(pid, &status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
