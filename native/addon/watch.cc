/*
 * watch.cc: Node's event loop tells when a descriptor can be read or written (uv_poll, which makes it non-blocking). A
 * watch lives until close() or until its environment ends; libuv frees nothing, so the memory is held by two owners: the
 * JavaScript functions, and the handle until its close callback has run.
 */
#include "addon.h"

#include <memory>

#include <uv.h>

namespace tare {

struct Watch {
    uv_poll_t handle = {};
    Napi::Env env;
    Napi::FunctionReference callback;
    Napi::AsyncContext context;
    napi_async_cleanup_hook_handle hook = nullptr;
    int events;
    bool closed = false;
    std::shared_ptr<Watch> self; /* the handle's share */

    Watch(Napi::Env e, Napi::Function f, int wanted)
        : env(e), callback(Napi::Persistent(f)), context(e, "tare:watch"), events(wanted)
    {
    }
};

static void closed(uv_handle_t *handle)
{
    Watch *watch = static_cast<Watch *>(handle->data);
    napi_remove_async_cleanup_hook(watch->hook); /* at the end of the environment: it has waited for this */
    watch->self.reset();
}

static void close_watch(Watch *watch)
{
    if (watch->closed) return;
    watch->closed = true;
    watch->callback.Reset();
    uv_close(reinterpret_cast<uv_handle_t *>(&watch->handle), closed);
}

static void environment_ends(napi_async_cleanup_hook_handle, void *data)
{
    close_watch(static_cast<Watch *>(data));
}

static void ready(uv_poll_t *handle, int status, int events)
{
    std::shared_ptr<Watch> watch = static_cast<Watch *>(handle->data)->self; /* the callback may close it */
    Napi::HandleScope scope(watch->env);
    /* libuv has stopped a descriptor in an error state (POLLERR). All that was asked for is reported, and DISCONNECT: the next
     * read or write says which error it is. */
    if (status < 0) events = watch->events | UV_DISCONNECT;
    try {
        watch->callback.MakeCallback(watch->env.Global(), {Napi::Number::New(watch->env, events)}, watch->context);
    } catch (const Napi::Error &error) {
        napi_fatal_exception(watch->env, error.Value()); /* 'uncaughtException', as for any callback of Node's */
    }
}

static Napi::Value watch_fd(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    int fd = get_int(info, 0), events = get_int(info, 1);
    if (events <= 0 || (events & ~(UV_READABLE | UV_WRITABLE | UV_DISCONNECT)) != 0)
        throw Napi::TypeError::New(env, "argument 2 must be a mask of READABLE 1, WRITABLE 2, DISCONNECT 4");
    if (!info[2].IsFunction()) throw Napi::TypeError::New(env, "argument 3 must be a function");
    uv_loop_t *loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env, "this environment has no event loop");

    auto watch = std::make_shared<Watch>(env, info[2].As<Napi::Function>(), events);
    int error = uv_poll_init(loop, &watch->handle, fd);
    if (error < 0) throw failure(env, "epoll_ctl", -error, {"EPOLL_CTL_ADD", show_fd(fd)});
    watch->handle.data = watch.get();
    watch->self = watch;
    napi_add_async_cleanup_hook(env, environment_ends, watch.get(), &watch->hook);
    error = uv_poll_start(&watch->handle, events, ready);
    if (error < 0) {
        close_watch(watch.get());
        throw failure(env, "epoll_ctl", -error, {"EPOLL_CTL_MOD", show_fd(fd), show_hex(static_cast<unsigned>(events))});
    }

    Napi::Object result = Napi::Object::New(env);
    result.Set("close", Napi::Function::New(env, [watch](const Napi::CallbackInfo &) { close_watch(watch.get()); }, "close"));
    result.Set("unref", Napi::Function::New(
                            env,
                            [watch](const Napi::CallbackInfo &) {
                                if (!watch->closed) uv_unref(reinterpret_cast<uv_handle_t *>(&watch->handle));
                            },
                            "unref"));
    return result;
}

void register_watch(Napi::Env env, Napi::Object exports)
{
    /* uv.h is Debian's, the code is Node's own libuv: the handle must not be larger there. */
    if (uv_handle_size(UV_POLL) > sizeof(uv_poll_t))
        throw Napi::Error::New(env, "the addon was built with the headers of an older libuv than Node's: build it again");
    exports.Set("watch", Napi::Function::New(env, watch_fd, "watch"));
}

} // namespace tare
