/*
 * watch.cc: Node's event loop tells when a descriptor can be read or written (uv_poll, which makes it non-blocking), or that a
 * signal has come (uv_signal: also a real-time one, which process.on() does not know). A watch lives until close() or until its
 * environment ends; libuv frees nothing, so the memory is held by two owners: the JavaScript functions, and the handle until its
 * close callback has run.
 */
#include "addon.h"

#include <memory>

#include <uv.h>

namespace tare {

struct Watch {
    union {
        uv_handle_t any;
        uv_poll_t poll;
        uv_signal_t signal;
    } handle = {};
    Napi::Env env;
    Napi::FunctionReference callback;
    Napi::AsyncContext context;
    napi_async_cleanup_hook_handle hook = nullptr;
    int events = 0; /* of a descriptor */
    bool closed = false;
    std::shared_ptr<Watch> self; /* the handle's share */

    Watch(Napi::Env e, Napi::Function f) : env(e), callback(Napi::Persistent(f)), context(e, "tare:watch")
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
    uv_close(&watch->handle.any, closed);
}

static void environment_ends(napi_async_cleanup_hook_handle, void *data)
{
    close_watch(static_cast<Watch *>(data));
}

static void tell(uv_handle_t *handle, int what)
{
    std::shared_ptr<Watch> watch = static_cast<Watch *>(handle->data)->self; /* the callback may close it */
    Napi::HandleScope scope(watch->env);
    try {
        watch->callback.MakeCallback(watch->env.Global(), {Napi::Number::New(watch->env, what)}, watch->context);
    } catch (const Napi::Error &error) {
        napi_fatal_exception(watch->env, error.Value()); /* 'uncaughtException', as for any callback of Node's */
    }
}

static void ready(uv_poll_t *handle, int status, int events)
{
    /* libuv has stopped a descriptor in an error state (POLLERR). All that was asked for is reported, and DISCONNECT: the next
     * read or write says which error it is. */
    if (status < 0) events = static_cast<Watch *>(handle->data)->events | UV_DISCONNECT;
    tell(reinterpret_cast<uv_handle_t *>(handle), events);
}

static void arrived(uv_signal_t *handle, int number)
{
    tell(reinterpret_cast<uv_handle_t *>(handle), number);
}

static std::shared_ptr<Watch> make_watch(const Napi::CallbackInfo &info, size_t callback, uv_loop_t **loop)
{
    Napi::Env env = info.Env();
    if (!info[callback].IsFunction())
        throw Napi::TypeError::New(env, "argument " + std::to_string(callback + 1) + " must be a function");
    if (napi_get_uv_event_loop(env, loop) != napi_ok) throw Napi::Error::New(env, "this environment has no event loop");
    return std::make_shared<Watch>(env, info[callback].As<Napi::Function>());
}

/* From here on libuv knows the handle, and has its share. */
static void keep(const std::shared_ptr<Watch> &watch)
{
    watch->handle.any.data = watch.get();
    watch->self = watch;
    napi_add_async_cleanup_hook(watch->env, environment_ends, watch.get(), &watch->hook);
}

static Napi::Value watcher(const std::shared_ptr<Watch> &watch)
{
    Napi::Env env = watch->env;
    Napi::Object result = Napi::Object::New(env);
    result.Set("close", Napi::Function::New(env, [watch](const Napi::CallbackInfo &) { close_watch(watch.get()); }, "close"));
    result.Set("unref", Napi::Function::New(
                            env,
                            [watch](const Napi::CallbackInfo &) {
                                if (!watch->closed) uv_unref(&watch->handle.any);
                            },
                            "unref"));
    return result;
}

static Napi::Value watch_fd(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    int fd = get_int(info, 0), events = get_int(info, 1);
    if (events <= 0 || (events & ~(UV_READABLE | UV_WRITABLE | UV_DISCONNECT)) != 0)
        throw Napi::TypeError::New(env, "argument 2 must be a mask of READABLE 1, WRITABLE 2, DISCONNECT 4");
    uv_loop_t *loop = nullptr;
    std::shared_ptr<Watch> watch = make_watch(info, 2, &loop);
    watch->events = events;
    int error = uv_poll_init(loop, &watch->handle.poll, fd);
    if (error < 0) throw failure(env, "epoll_ctl", -error, {"EPOLL_CTL_ADD", show_fd(fd)});
    keep(watch);
    error = uv_poll_start(&watch->handle.poll, events, ready);
    if (error < 0) {
        close_watch(watch.get());
        throw failure(env, "epoll_ctl", -error, {"EPOLL_CTL_MOD", show_fd(fd), show_hex(static_cast<unsigned>(events))});
    }
    return watcher(watch);
}

/* As process.on() does it: the signal has its default action again when nobody watches it any more. */
static Napi::Value watch_signal(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    int number = get_int(info, 0);
    uv_loop_t *loop = nullptr;
    std::shared_ptr<Watch> watch = make_watch(info, 1, &loop);
    int error = uv_signal_init(loop, &watch->handle.signal);
    if (error < 0) throw failure(env, "pipe2", -error, {});
    keep(watch);
    error = uv_signal_start(&watch->handle.signal, arrived, number);
    if (error < 0) {
        close_watch(watch.get());
        throw failure(env, "sigaction", -error, {show(number)});
    }
    return watcher(watch);
}

void register_watch(Napi::Env env, Napi::Object exports)
{
    /* uv.h is Debian's, the code is Node's own libuv: the handle must not be larger there. */
    if (uv_handle_size(UV_POLL) > sizeof(uv_poll_t) || uv_handle_size(UV_SIGNAL) > sizeof(uv_signal_t))
        throw Napi::Error::New(env, "the addon was built with the headers of an older libuv than Node's: build it again");
    exports.Set("watch", Napi::Function::New(env, watch_fd, "watch"));
    exports.Set("watchSignal", Napi::Function::New(env, watch_signal, "watchSignal"));
}

} // namespace tare
