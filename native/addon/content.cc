/*
 * content.cc: what is in a file: written, sized, its holes found, copied without passing through this process.
 * write(2), lseek(2), ftruncate(2), copy_file_range(2), syncfs(2).
 */
#include "addon.h"

#include <cerrno>

#include <unistd.h>

namespace tare {

/* All of it: a short write is followed by the rest, or by the error that says why it was short. */
static Napi::Value write_file(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    Bytes bytes = get_bytes(info, 1);
    bool placed = !info[2].IsUndefined();
    off_t position = placed ? static_cast<off_t>(get_unsigned(info, 2)) : 0;
    for (size_t done = 0; done < bytes.size;) {
        ssize_t n = placed ? pwrite(fd, bytes.data + done, bytes.size - done, position + static_cast<off_t>(done))
                           : write(fd, bytes.data + done, bytes.size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            throw failure(info.Env(), placed ? "pwrite64" : "write", errno,
                          {show_fd(fd), "...", show(static_cast<int64_t>(bytes.size - done))});
        done += static_cast<size_t>(n);
    }
    return info.Env().Undefined();
}

static Napi::Value seek(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    off_t offset = static_cast<off_t>(get_unsigned(info, 1));
    int whence = get_int(info, 2);
    off_t result = lseek(fd, offset, whence);
    if (result < 0 && errno != ENXIO) throw failure(info.Env(), "lseek", errno, {show_fd(fd), show(offset), show(whence)});
    return Napi::Number::New(info.Env(), static_cast<double>(result));
}

static Napi::Value truncate_file(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    off_t size = static_cast<off_t>(get_unsigned(info, 1));
    int result;
    do
        result = ftruncate(fd, size);
    while (result < 0 && errno == EINTR);
    if (result < 0) throw failure(info.Env(), "ftruncate", errno, {show_fd(fd), show(size)});
    return info.Env().Undefined();
}

static Napi::Value copy_range(const Napi::CallbackInfo &info)
{
    int in = get_int(info, 0);
    off_t in_offset = static_cast<off_t>(get_unsigned(info, 1));
    int out = get_int(info, 2);
    off_t out_offset = static_cast<off_t>(get_unsigned(info, 3));
    size_t size = static_cast<size_t>(get_unsigned(info, 4));
    ssize_t copied;
    do
        copied = copy_file_range(in, &in_offset, out, &out_offset, size, 0);
    while (copied < 0 && errno == EINTR);
    if (copied < 0)
        throw failure(info.Env(), "copy_file_range", errno,
                      {show_fd(in), show(in_offset), show_fd(out), show(out_offset), show(static_cast<int64_t>(size)), "0"});
    return Napi::Number::New(info.Env(), static_cast<double>(copied));
}

static Napi::Value sync_filesystem(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    if (syncfs(fd) < 0) throw failure(info.Env(), "syncfs", errno, {show_fd(fd)});
    return info.Env().Undefined();
}

void register_content(Napi::Env env, Napi::Object exports)
{
    exports.Set("write", Napi::Function::New(env, write_file, "write"));
    exports.Set("lseek", Napi::Function::New(env, seek, "lseek"));
    exports.Set("ftruncate", Napi::Function::New(env, truncate_file, "ftruncate"));
    exports.Set("copyFileRange", Napi::Function::New(env, copy_range, "copyFileRange"));
    exports.Set("syncfs", Napi::Function::New(env, sync_filesystem, "syncfs"));
}

} // namespace tare
