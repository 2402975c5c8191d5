/*
 * namespaces.cc: questions that a namespace's descriptor answers: who owns it, what is above it, of which kind it is.
 * ioctl_ns(2).
 */
#include "addon.h"

#include <cerrno>

#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace tare {

template <unsigned long REQUEST> static Napi::Value ask(const Napi::CallbackInfo &info)
{
    constexpr const char *name = REQUEST == NS_GET_USERNS   ? "NS_GET_USERNS"
                                 : REQUEST == NS_GET_PARENT ? "NS_GET_PARENT"
                                                            : "NS_GET_NSTYPE";
    int fd = get_int(info, 0);
    int answer = ioctl(fd, REQUEST); /* a new descriptor is close-on-exec already */
    if (answer < 0) throw failure(info.Env(), "ioctl", errno, {show_fd(fd), name});
    return Napi::Number::New(info.Env(), answer);
}

static Napi::Value owner_uid(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    uid_t uid = 0;
    if (ioctl(fd, NS_GET_OWNER_UID, &uid) < 0) throw failure(info.Env(), "ioctl", errno, {show_fd(fd), "NS_GET_OWNER_UID"});
    return Napi::Number::New(info.Env(), uid);
}

void register_namespaces(Napi::Env env, Napi::Object exports)
{
    exports.Set("nsGetUserns", Napi::Function::New(env, ask<NS_GET_USERNS>, "nsGetUserns"));
    exports.Set("nsGetParent", Napi::Function::New(env, ask<NS_GET_PARENT>, "nsGetParent"));
    exports.Set("nsGetType", Napi::Function::New(env, ask<NS_GET_NSTYPE>, "nsGetType"));
    exports.Set("nsGetOwnerUid", Napi::Function::New(env, owner_uid, "nsGetOwnerUid"));
}

} // namespace tare
