/*
 * module.cc: what require() of tare.node gives: the functions of runtime/kernel/native.ts, and `onFailure`, by which
 * runtime/kernel/addon.ts registers the function that makes the errors.
 */
#include "addon.h"

namespace tare {

static Napi::Value plain_error(const Napi::CallbackInfo &info)
{
    std::string text = info[0].ToString().Utf8Value() + "(" + info[1].ToString().Utf8Value() + "): errno " + info[2].ToString().Utf8Value();
    return Napi::Error::New(info.Env(), text).Value();
}

static Napi::Value on_failure(const Napi::CallbackInfo &info)
{
    if (!info[0].IsFunction()) throw Napi::TypeError::New(info.Env(), "argument 1 must be a function");
    info.Env().GetInstanceData<Instance>()->make_error = Napi::Persistent(info[0].As<Napi::Function>());
    return info.Env().Undefined();
}

static Napi::Object load(Napi::Env env, Napi::Object exports)
{
    Instance *instance = new Instance; /* freed with the environment */
    instance->make_error = Napi::Persistent(Napi::Function::New(env, plain_error));
    env.SetInstanceData(instance);
    exports.Set("onFailure", Napi::Function::New(env, on_failure, "onFailure"));
    register_files(env, exports);
    register_tree(env, exports);
    register_attributes(env, exports);
    register_content(env, exports);
    register_zstd(env, exports);
    register_sockets(env, exports);
    register_spawn(env, exports);
    register_processes(env, exports);
    register_kernel(env, exports);
    register_namespaces(env, exports);
    register_netlink(env, exports);
    register_watch(env, exports);
    return exports;
}

} // namespace tare

static Napi::Object load_addon(Napi::Env env, Napi::Object exports)
{
    return tare::load(env, exports);
}

NODE_API_MODULE(tare, load_addon)
