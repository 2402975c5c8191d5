/*
 * stage: runs a plan. `stage run [--step | --trace]`, with its descriptors as protocol.h has them. It knows no container: which
 * namespaces, mounts and rights there are is the plan's affair, and so is every choice; stage makes the calls.
 */
#include "lanes.h"
#include "plan.h"
#include "report.h"
#include "run.h"
#include "stage.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct stage self;

static bool read_mode(int argc, char **argv);
static void keep_descriptors_from_exec(void);
static void load_plan(void);
static void take_descriptors(void);
static void become_parent(void);
static void block_signals(void);
_Noreturn static void refuse(const char *why);

int main(int argc, char **argv)
{
    if (!read_mode(argc, argv)) {
        static const char usage[] = "usage: stage run [--step | --trace] (started by Tare, with a plan on descriptor 4)\n";
        return write(2, usage, sizeof usage - 1) < 0 ? EXIT_OWN_FAILURE : EXIT_OWN_FAILURE;
    }
    keep_descriptors_from_exec();
    load_plan();
    take_descriptors();
    signals_default();
    block_signals();
    become_parent();
    report(REPORT_HELLO, 0, 0, PLAN_VERSION, NULL, -1);
    lane_run();
}

static bool read_mode(int argc, char **argv)
{
    if (argc < 2 || argc > 3 || strcmp(argv[1], "run") != 0)
        return false;
    if (argc == 2)
        self.mode = MODE_QUIET;
    else if (strcmp(argv[2], "--step") == 0)
        self.mode = MODE_STEP;
    else if (strcmp(argv[2], "--trace") == 0)
        self.mode = MODE_TRACE;
    else
        return false;
    return true;
}

/* CVE-2016-9962, CVE-2024-21626: nothing of the host's is open in the container, whatever the plan forgets. */
static void keep_descriptors_from_exec(void)
{
    if (syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        refuse("close_range with CLOSE_RANGE_CLOEXEC needs Linux 5.11");
}

static void load_plan(void)
{
    const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    struct stat file;
    if ((fcntl(FD_PLAN, F_GET_SEALS) & seals) != seals || fcntl(FD_PLAN, F_GET_SEALS) < 0 || fstat(FD_PLAN, &file) < 0)
        refuse("descriptor 4 is no sealed memfd");
    if (file.st_size < (off_t)sizeof(struct plan_header) || file.st_size > PLAN_MAX_SIZE)
        refuse("the plan is too small or too large");
    void *bytes = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, FD_PLAN, 0);
    if (bytes == MAP_FAILED)
        refuse("the plan cannot be mapped");
    close(FD_PLAN);
    if (!plan_decode(&self.plan, bytes, (size_t)file.st_size))
        refuse(self.plan.refusal);
}

static void take_descriptors(void)
{
    const struct plan_header *header = self.plan.header;
    memset(self.slot, 0xff, sizeof self.slot);
    memset(self.control, 0xff, sizeof self.control);
    for (unsigned lane = 0; lane < header->lanes; lane++) {
        self.control[lane] = lane == 0 ? FD_CONTROL : FD_LANES + (int)lane - 1;
        int flags = fcntl(self.control[lane], F_GETFL);
        if (flags < 0 || fcntl(self.control[lane], F_SETFL, flags & ~O_NONBLOCK) < 0)
            refuse("a lane has no report socket");
    }
    for (unsigned i = 0; i < header->given; i++) {
        self.slot[i] = FD_LANES + (int)header->lanes - 1 + (int)i;
        if (fcntl(self.slot[i], F_GETFD) < 0)
            refuse("a given descriptor is not open");
    }
}

static void become_parent(void)
{
    self.parent = -1;
    self.children = mmap(NULL, sizeof *self.children, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (self.children == MAP_FAILED || lanes_open() != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        refuse("there is no memory or descriptor left");
}

/* What is sent while the plan runs is forwarded when it comes to supervise. */
static void block_signals(void)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD, SIGPIPE };
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

/* Before any step, so with nothing to clean up. */
static void refuse(const char *why)
{
    self.control[0] = FD_CONTROL;
    self.children = NULL;
    report(REPORT_REFUSED, 0, EINVAL, 0, why, -1);
    _exit(EXIT_OWN_FAILURE);
}
