/*
 * tree.cc: names in a directory, by its descriptor: made, linked, renamed, removed, listed. Names are strings (UTF-8) or bytes.
 * mkdir(2), symlink(2), link(2), mknod(2), rename(2), unlink(2), readlink(2), getdents(2).
 */
#include "addon.h"

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace tare {

static Napi::Value mkdir_at(const Napi::CallbackInfo &info)
{
    int dirfd = get_int(info, 0);
    std::string name = get_name(info, 1);
    mode_t mode = get_uint32(info, 2);
    if (mkdirat(dirfd, name.c_str(), mode) < 0)
        throw failure(info.Env(), "mkdirat", errno, {show_fd(dirfd), show_string(name), show_octal(mode)});
    return info.Env().Undefined();
}

static Napi::Value symlink_at(const Napi::CallbackInfo &info)
{
    std::string target = get_name(info, 0);
    int dirfd = get_int(info, 1);
    std::string name = get_name(info, 2);
    if (symlinkat(target.c_str(), dirfd, name.c_str()) < 0)
        throw failure(info.Env(), "symlinkat", errno, {show_string(target), show_fd(dirfd), show_string(name)});
    return info.Env().Undefined();
}

static Napi::Value link_at(const Napi::CallbackInfo &info)
{
    int old_dirfd = get_int(info, 0);
    std::string old_name = get_name(info, 1);
    int new_dirfd = get_int(info, 2);
    std::string new_name = get_name(info, 3);
    int flags = get_int(info, 4);
    if (linkat(old_dirfd, old_name.c_str(), new_dirfd, new_name.c_str(), flags) < 0)
        throw failure(info.Env(), "linkat", errno,
                      {show_fd(old_dirfd), show_string(old_name), show_fd(new_dirfd), show_string(new_name),
                       show_hex(static_cast<unsigned>(flags))});
    return info.Env().Undefined();
}

static Napi::Value mknod_at(const Napi::CallbackInfo &info)
{
    int dirfd = get_int(info, 0);
    std::string name = get_name(info, 1);
    mode_t mode = get_uint32(info, 2);
    unsigned major_number = get_uint32(info, 3);
    unsigned minor_number = get_uint32(info, 4);
    if (mknodat(dirfd, name.c_str(), mode, makedev(major_number, minor_number)) < 0)
        throw failure(info.Env(), "mknodat", errno,
                      {show_fd(dirfd), show_string(name), show_octal(mode),
                       "makedev(" + show(major_number) + ", " + show(minor_number) + ")"});
    return info.Env().Undefined();
}

static Napi::Value unlink_at(const Napi::CallbackInfo &info)
{
    int dirfd = get_int(info, 0);
    std::string name = get_name(info, 1);
    int flags = get_int(info, 2);
    if (unlinkat(dirfd, name.c_str(), flags) < 0)
        throw failure(info.Env(), "unlinkat", errno,
                      {show_fd(dirfd), show_string(name), show_hex(static_cast<unsigned>(flags))});
    return info.Env().Undefined();
}

static Napi::Value rename_at2(const Napi::CallbackInfo &info)
{
    int old_dirfd = get_int(info, 0);
    std::string old_name = get_name(info, 1);
    int new_dirfd = get_int(info, 2);
    std::string new_name = get_name(info, 3);
    unsigned flags = get_uint32(info, 4);
    if (renameat2(old_dirfd, old_name.c_str(), new_dirfd, new_name.c_str(), flags) < 0)
        throw failure(info.Env(), "renameat2", errno,
                      {show_fd(old_dirfd), show_string(old_name), show_fd(new_dirfd), show_string(new_name),
                       show_hex(flags)});
    return info.Env().Undefined();
}

static Napi::Value readlink_at(const Napi::CallbackInfo &info)
{
    int dirfd = get_int(info, 0);
    std::string name = get_name(info, 1);
    char target[PATH_MAX];
    ssize_t size = readlinkat(dirfd, name.c_str(), target, sizeof target);
    if (size < 0) throw failure(info.Env(), "readlinkat", errno, {show_fd(dirfd), show_string(name)});
    return Napi::Buffer<char>::Copy(info.Env(), target, static_cast<size_t>(size));
}

/* What getdents64(2) writes; the C library does not declare it. */
struct Dirent {
    uint64_t ino;
    int64_t off;
    unsigned short length;
    unsigned char type;
    char name[];
};

static Napi::Value get_dents(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    int fd = get_int(info, 0);
    alignas(8) char buffer[32768];
    long size = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    if (size < 0) throw failure(env, "getdents64", errno, {show_fd(fd)});
    Napi::Array list = Napi::Array::New(env);
    uint32_t count = 0;
    for (long at = 0; at < size;) {
        const Dirent *entry = reinterpret_cast<const Dirent *>(buffer + at);
        at += entry->length;
        Napi::Object made = Napi::Object::New(env);
        made.Set("name", Napi::Buffer<char>::Copy(env, entry->name, strlen(entry->name)));
        made.Set("type", Napi::Number::New(env, entry->type << 12)); /* DTTOIF of <dirent.h> */
        list.Set(count++, made);
    }
    return list;
}

void register_tree(Napi::Env env, Napi::Object exports)
{
    exports.Set("mkdirat", Napi::Function::New(env, mkdir_at, "mkdirat"));
    exports.Set("symlinkat", Napi::Function::New(env, symlink_at, "symlinkat"));
    exports.Set("linkat", Napi::Function::New(env, link_at, "linkat"));
    exports.Set("mknodat", Napi::Function::New(env, mknod_at, "mknodat"));
    exports.Set("unlinkat", Napi::Function::New(env, unlink_at, "unlinkat"));
    exports.Set("renameat2", Napi::Function::New(env, rename_at2, "renameat2"));
    exports.Set("readlinkat", Napi::Function::New(env, readlink_at, "readlinkat"));
    exports.Set("getdents", Napi::Function::New(env, get_dents, "getdents"));
}

} // namespace tare
