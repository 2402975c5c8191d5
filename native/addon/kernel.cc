/*
 * kernel.cc: questions about the kernel itself, asked without changing anything. seccomp(2), syscalls(2), landlock(7).
 */
#include "addon.h"

#include <cerrno>

#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tare {

/* From here on (Linux 5.1) every call of the table checks its arguments before it does anything; 424 is pidfd_send_signal. */
constexpr int FIRST_PROBED = 424;

static Napi::Value has_syscall(const Napi::CallbackInfo &info)
{
    int number = get_int(info, 0);
    if (number < FIRST_PROBED)
        throw Napi::RangeError::New(info.Env(), "hasSyscall asks about calls from number 424 on; " + show(number) +
                                                    " may do something when called with wrong arguments");
    long result = syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
    return Napi::Boolean::New(info.Env(), !(result < 0 && errno == ENOSYS));
}

static Napi::Value seccomp_action_available(const Napi::CallbackInfo &info)
{
    uint32_t action = get_uint32(info, 0);
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) return Napi::Boolean::New(info.Env(), true);
    /* EOPNOTSUPP: the kernel does not know the action. EINVAL, ENOSYS: it does not know the question (before 4.14). */
    if (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS) return Napi::Boolean::New(info.Env(), false);
    throw failure(info.Env(), "seccomp", errno, {"SECCOMP_GET_ACTION_AVAIL", "0", "[" + show_hex(action) + "]"});
}

static Napi::Value landlock_abi(const Napi::CallbackInfo &info)
{
    long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return Napi::Number::New(info.Env(), abi < 0 ? 0 : static_cast<double>(abi)); /* ENOSYS, EOPNOTSUPP: landlock(7) */
}

void register_kernel(Napi::Env env, Napi::Object exports)
{
    exports.Set("hasSyscall", Napi::Function::New(env, has_syscall, "hasSyscall"));
    exports.Set("landlockAbi", Napi::Function::New(env, landlock_abi, "landlockAbi"));
    exports.Set("seccompActionAvailable", Napi::Function::New(env, seccomp_action_available, "seccompActionAvailable"));
}

} // namespace tare
