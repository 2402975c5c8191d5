/*
 * spawn.cc: starts a program without forking Node. The child borrows Node's memory until its exec (CLONE_VM) while the
 * thread that made it waits (CLONE_VFORK), so nothing of Node's 40 MB is copied; the pidfd is made with the process
 * (CLONE_PIDFD), so no other process can ever be meant by it. clone(2), execveat(2), close_range(2).
 *
 * In the child only system calls are allowed: no allocation, no lock, no C++ object.
 */
#include "addon.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

namespace tare {

constexpr size_t STACK_SIZE = 64 * 1024;
constexpr int LAST_SIGNAL = 64;

/* The kernel's own struct sigaction of x86-64: glibc's wrapper refuses signals 32 and 33, which Node's threads use. */
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

/* What the child reads, and where it leaves its errno: the memory is shared. */
struct Child {
    int exe;
    int count;
    int *fds; /* scratch of its own: replaced by the copies that the child makes */
    char *const *argv;
    char *const *env;
    int error;
    const char *failed;
};

static int fail_child(Child *child, const char *call)
{
    child->error = errno;
    child->failed = call;
    _exit(127);
}

/*
 * Puts fds[i] at i. The wanted places and the descriptors may overlap in any way, so everything is first copied above all of
 * them. The program's descriptor stays open, close-on-exec, just behind the last.
 */
static void place_descriptors(Child *child)
{
    int above = child->count + 1;
    for (int i = 0; i < child->count; i++) {
        child->fds[i] = fcntl(child->fds[i], F_DUPFD_CLOEXEC, above);
        if (child->fds[i] < 0) fail_child(child, "fcntl");
    }
    int exe = fcntl(child->exe, F_DUPFD_CLOEXEC, above);
    if (exe < 0) fail_child(child, "fcntl");
    for (int i = 0; i < child->count; i++)
        if (dup2(child->fds[i], i) < 0) fail_child(child, "dup2");
    if (dup3(exe, child->count, O_CLOEXEC) < 0) fail_child(child, "dup3");
    child->exe = child->count;
    if (syscall(SYS_close_range, above, ~0U, 0) < 0) fail_child(child, "close_range");
}

static int run_child(void *argument)
{
    Child *child = static_cast<Child *>(argument);
    struct kernel_sigaction by_default = {};
    for (int signal = 1; signal <= LAST_SIGNAL; signal++)
        if (signal != SIGKILL && signal != SIGSTOP)
            syscall(SYS_rt_sigaction, signal, &by_default, nullptr, sizeof by_default.mask);
    place_descriptors(child);
    unsigned long none = 0; /* only now: no handler of Node's is left that could run in here */
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
    syscall(SYS_execveat, child->exe, "", child->argv, child->env, AT_EMPTY_PATH);
    return fail_child(child, "execveat");
}

static std::vector<char *> pointers(std::vector<std::string> &strings)
{
    std::vector<char *> list;
    for (std::string &text : strings) list.push_back(text.data());
    list.push_back(nullptr);
    return list;
}

static Napi::Value spawn(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    int exe = get_int(info, 0);
    std::vector<std::string> arguments = get_strings(info, 1), variables = get_strings(info, 2);
    std::vector<int> fds = get_fds(info, 3), scratch = fds;
    std::vector<char *> argv = pointers(arguments), envp = pointers(variables);
    Child child = {exe, static_cast<int>(fds.size()), scratch.data(), argv.data(), envp.data(), 0, nullptr};

    void *stack = mmap(nullptr, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        throw failure(env, "mmap", errno, {"NULL", show(STACK_SIZE), "PROT_READ|PROT_WRITE", "MAP_PRIVATE|MAP_ANONYMOUS|MAP_STACK"});

    /* Blocked around: a signal that came while the child has Node's handlers would run them on Node's own data. */
    unsigned long all = ~0UL, before = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    int pidfd = -1;
    int pid = clone(run_child, static_cast<char *>(stack) + STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &child, &pidfd);
    int error = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
    munmap(stack, STACK_SIZE);

    if (pid < 0) throw failure(env, "clone", error, {"CLONE_VM|CLONE_VFORK|CLONE_PIDFD|SIGCHLD"});
    if (child.error != 0) {
        siginfo_t ended;
        while (waitid(P_PIDFD, static_cast<id_t>(pidfd), &ended, WEXITED) < 0 && errno == EINTR) {
        }
        close(pidfd);
        if (strcmp(child.failed, "execveat") == 0)
            throw failure(env, "execveat", child.error,
                          {show_fd(exe), "\"\"", arguments.empty() ? "[]" : "[" + show_string(arguments[0]) + ", ...]",
                           "[" + show(static_cast<int64_t>(variables.size())) + " vars]", "AT_EMPTY_PATH"});
        throw failure(env, child.failed, child.error, {show_list(fds)});
    }
    Napi::Object result = Napi::Object::New(env);
    result.Set("pid", Napi::Number::New(env, pid));
    result.Set("pidfd", Napi::Number::New(env, pidfd));
    return result;
}

void register_spawn(Napi::Env env, Napi::Object exports)
{
    exports.Set("spawn", Napi::Function::New(env, spawn, "spawn"));
}

} // namespace tare
