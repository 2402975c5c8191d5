/*
 * processes.cc: processes held by descriptor. A pid can be reused for another process between two calls; a pidfd cannot.
 * pidfd_open(2), pidfd_send_signal(2), waitid(2), getrlimit(2).
 */
#include "addon.h"

#include <cerrno>
#include <csignal>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tare {

static Napi::Value pidfd_open(const Napi::CallbackInfo &info)
{
    int pid = get_int(info, 0);
    long fd = syscall(SYS_pidfd_open, pid, 0); /* always close-on-exec */
    if (fd < 0) throw failure(info.Env(), "pidfd_open", errno, {show(pid), "0"});
    return Napi::Number::New(info.Env(), static_cast<double>(fd));
}

static Napi::Value pidfd_send_signal(const Napi::CallbackInfo &info)
{
    int pidfd = get_int(info, 0), signal = get_int(info, 1);
    if (syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) < 0)
        throw failure(info.Env(), "pidfd_send_signal", errno, {show_fd(pidfd), show(signal), "NULL", "0"});
    return info.Env().Undefined();
}

/* waitid(2) says how a process ended in two fields; wait(2) in one number, which is what is stored and sent everywhere. */
static int wait_status(const siginfo_t &ended)
{
    if (ended.si_code == CLD_EXITED) return (ended.si_status & 0xff) << 8;
    return ended.si_status | (ended.si_code == CLD_DUMPED ? 0x80 : 0);
}

static Napi::Value wait_pidfd(const Napi::CallbackInfo &info)
{
    int pidfd = get_int(info, 0);
    siginfo_t ended = {};
    if (waitid(P_PIDFD, static_cast<id_t>(pidfd), &ended, WEXITED | WNOHANG) < 0)
        throw failure(info.Env(), "waitid", errno, {"P_PIDFD", show_fd(pidfd), "WEXITED|WNOHANG"});
    if (ended.si_pid == 0) return info.Env().Null();
    return Napi::Number::New(info.Env(), wait_status(ended));
}

static Napi::Value get_rlimit(const Napi::CallbackInfo &info)
{
    int resource = get_int(info, 0);
    struct rlimit limit;
    if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) < 0)
        throw failure(info.Env(), "getrlimit", errno, {show(resource)});
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("soft", Napi::BigInt::New(info.Env(), static_cast<uint64_t>(limit.rlim_cur)));
    result.Set("hard", Napi::BigInt::New(info.Env(), static_cast<uint64_t>(limit.rlim_max)));
    return result;
}

void register_processes(Napi::Env env, Napi::Object exports)
{
    exports.Set("pidfdOpen", Napi::Function::New(env, pidfd_open, "pidfdOpen"));
    exports.Set("pidfdSendSignal", Napi::Function::New(env, pidfd_send_signal, "pidfdSendSignal"));
    exports.Set("waitPidfd", Napi::Function::New(env, wait_pidfd, "waitPidfd"));
    exports.Set("getrlimit", Napi::Function::New(env, get_rlimit, "getrlimit"));
}

} // namespace tare
