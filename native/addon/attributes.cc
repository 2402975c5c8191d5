/*
 * attributes.cc: what a file is: its status, owner, mode, times and extended attributes, by descriptor or by a name below one. All take an
 * O_PATH descriptor too, so that a symbolic link or device can be meant without being opened.
 * statx(2), chown(2), chmod(2), fchmodat2(2), utimensat(2), xattr(7).
 */
#include "addon.h"

#include <cerrno>
#include <climits>
#include <cstring>

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6 */
#endif

namespace tare {

/* A file system may hold seconds in 64 bits (tmpfs, btrfs), and anybody may set them: what is too far away is as far as it can be. */
static Napi::Value nanoseconds(Napi::Env env, const struct statx_timestamp &time)
{
    int64_t value;
    if (__builtin_mul_overflow(time.tv_sec, 1000000000LL, &value) || __builtin_add_overflow(value, time.tv_nsec, &value))
        value = time.tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return Napi::BigInt::New(env, value);
}

static Napi::Value device_number(Napi::Env env, uint32_t major_number, uint32_t minor_number)
{
    return Napi::BigInt::New(env, static_cast<uint64_t>(major_number) << 32 | minor_number);
}

static Napi::Value fstat_at(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    int dirfd = get_int(info, 0);
    std::string name = get_name(info, 1);
    int flags = get_int(info, 2);
    struct statx s;
    if (statx(dirfd, name.c_str(), flags, STATX_BASIC_STATS, &s) < 0) {
        if (errno == ENOENT && !name.empty()) return env.Null();
        throw failure(env, "statx", errno, {show_fd(dirfd), show_string(name), show_hex(static_cast<unsigned>(flags))});
    }
    Napi::Object made = Napi::Object::New(env);
    made.Set("mode", Napi::Number::New(env, s.stx_mode));
    made.Set("uid", Napi::Number::New(env, s.stx_uid));
    made.Set("gid", Napi::Number::New(env, s.stx_gid));
    made.Set("nlink", Napi::Number::New(env, s.stx_nlink));
    made.Set("size", Napi::Number::New(env, static_cast<double>(s.stx_size)));
    made.Set("blocks", Napi::Number::New(env, static_cast<double>(s.stx_blocks)));
    made.Set("ino", Napi::BigInt::New(env, static_cast<uint64_t>(s.stx_ino)));
    made.Set("dev", device_number(env, s.stx_dev_major, s.stx_dev_minor));
    made.Set("rdevMajor", Napi::Number::New(env, s.stx_rdev_major));
    made.Set("rdevMinor", Napi::Number::New(env, s.stx_rdev_minor));
    made.Set("atimeNs", nanoseconds(env, s.stx_atime));
    made.Set("mtimeNs", nanoseconds(env, s.stx_mtime));
    made.Set("ctimeNs", nanoseconds(env, s.stx_ctime));
    return made;
}

static Napi::Value fchown_at(const Napi::CallbackInfo &info)
{
    int dirfd = get_int(info, 0);
    std::string name = get_name(info, 1);
    uid_t uid = get_uint32(info, 2);
    gid_t gid = get_uint32(info, 3);
    int flags = get_int(info, 4);
    if (fchownat(dirfd, name.c_str(), uid, gid, flags) < 0)
        throw failure(info.Env(), "fchownat", errno,
                      {show_fd(dirfd), show_string(name), show(uid), show(gid), show_hex(static_cast<unsigned>(flags))});
    return info.Env().Undefined();
}

/* Where there is no fchmodat2: the file is pinned by a descriptor, found to be no symbolic link, and reached through it. */
static int chmod_pinned(int dirfd, const char *name, mode_t mode, int flags)
{
    int fd = *name == 0 ? dirfd : openat(dirfd, name, O_PATH | O_CLOEXEC | (flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0));
    if (fd < 0) return -1;
    struct stat s;
    int result = fstat(fd, &s);
    if (result == 0 && S_ISLNK(s.st_mode)) {
        errno = EOPNOTSUPP; /* what fchmodat2 says */
        result = -1;
    }
    if (result == 0) result = chmod(("/proc/self/fd/" + std::to_string(fd)).c_str(), mode);
    int error = errno;
    if (fd != dirfd) close(fd);
    errno = error;
    return result;
}

static Napi::Value fchmod_at(const Napi::CallbackInfo &info)
{
    int dirfd = get_int(info, 0);
    std::string name = get_name(info, 1);
    mode_t mode = get_uint32(info, 2);
    int flags = get_int(info, 3);
    long result = syscall(SYS_fchmodat2, dirfd, name.c_str(), mode, flags);
    if (result < 0 && errno == ENOSYS) result = chmod_pinned(dirfd, name.c_str(), mode, flags);
    if (result < 0)
        throw failure(info.Env(), "fchmodat2", errno,
                      {show_fd(dirfd), show_string(name), show_octal(mode), show_hex(static_cast<unsigned>(flags))});
    return info.Env().Undefined();
}

/* Rounded down, also before 1970. Undefined leaves the time as it is. */
static struct timespec get_time(const Napi::CallbackInfo &info, size_t index)
{
    struct timespec time = {0, UTIME_OMIT};
    if (info[index].IsUndefined()) return time;
    bool lossless = false;
    int64_t value = info[index].IsBigInt() ? info[index].As<Napi::BigInt>().Int64Value(&lossless) : 0;
    if (!lossless)
        throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index + 1) + " must be a 64 bit bigint");
    time.tv_nsec = static_cast<long>(value % 1000000000);
    time.tv_sec = value / 1000000000;
    if (time.tv_nsec < 0) {
        time.tv_nsec += 1000000000;
        time.tv_sec--;
    }
    return time;
}

static Napi::Value utimens_at(const Napi::CallbackInfo &info)
{
    int dirfd = get_int(info, 0);
    std::string name = get_name(info, 1);
    struct timespec times[2] = {get_time(info, 2), get_time(info, 3)};
    int flags = get_int(info, 4);
    /* The system call itself: glibc before 2.34 refuses AT_EMPTY_PATH, which Linux 5.8 knows. */
    if (syscall(SYS_utimensat, dirfd, name.c_str(), times, flags) < 0)
        throw failure(info.Env(), "utimensat", errno,
                      {show_fd(dirfd), show_string(name), "...", show_hex(static_cast<unsigned>(flags))});
    return info.Env().Undefined();
}

/* fsetxattr and its like refuse an O_PATH descriptor; through proc(5) it is reached without following anything further. */
static std::string through_proc(int fd)
{
    return "/proc/self/fd/" + std::to_string(fd);
}

static Napi::Value set_xattr(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    std::string name = get_name(info, 1);
    Bytes value = get_bytes(info, 2);
    int flags = info[3].IsUndefined() ? 0 : get_int(info, 3);
    int result = fsetxattr(fd, name.c_str(), value.data, value.size, flags);
    if (result < 0 && errno == EBADF) result = setxattr(through_proc(fd).c_str(), name.c_str(), value.data, value.size, flags);
    if (result < 0)
        throw failure(info.Env(), "fsetxattr", errno,
                      {show_fd(fd), show_string(name), "...", show(static_cast<int64_t>(value.size)), show(flags)});
    return info.Env().Undefined();
}

static Napi::Value get_xattr(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    std::string name = get_name(info, 1);
    std::vector<char> value(4096);
    ssize_t size;
    do {
        size = fgetxattr(fd, name.c_str(), value.data(), value.size());
        if (size < 0 && errno == EBADF) size = getxattr(through_proc(fd).c_str(), name.c_str(), value.data(), value.size());
        if (size >= 0 || errno != ERANGE || value.size() >= XATTR_SIZE_MAX) break;
        value.resize(XATTR_SIZE_MAX);
    } while (true);
    if (size < 0 && (errno == ENODATA || errno == EOPNOTSUPP)) return info.Env().Null();
    if (size < 0) throw failure(info.Env(), "fgetxattr", errno, {show_fd(fd), show_string(name)});
    return Napi::Buffer<char>::Copy(info.Env(), value.data(), static_cast<size_t>(size));
}

static Napi::Value list_xattr(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    int fd = get_int(info, 0);
    std::vector<char> names(1024);
    ssize_t size;
    do {
        size = flistxattr(fd, names.data(), names.size());
        if (size < 0 && errno == EBADF) size = listxattr(through_proc(fd).c_str(), names.data(), names.size());
        if (size >= 0 || errno != ERANGE || names.size() >= XATTR_LIST_MAX) break;
        names.resize(XATTR_LIST_MAX);
    } while (true);
    Napi::Array list = Napi::Array::New(env);
    if (size < 0 && errno == EOPNOTSUPP) return list;
    if (size < 0) throw failure(env, "flistxattr", errno, {show_fd(fd)});
    uint32_t count = 0;
    for (const char *at = names.data(), *end = at + size; at < end; at += strlen(at) + 1)
        list.Set(count++, Napi::Buffer<char>::Copy(env, at, strlen(at)));
    return list;
}

static Napi::Value remove_xattr(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    std::string name = get_name(info, 1);
    int result = fremovexattr(fd, name.c_str());
    if (result < 0 && errno == EBADF) result = removexattr(through_proc(fd).c_str(), name.c_str());
    if (result < 0) throw failure(info.Env(), "fremovexattr", errno, {show_fd(fd), show_string(name)});
    return info.Env().Undefined();
}

void register_attributes(Napi::Env env, Napi::Object exports)
{
    exports.Set("fstatat", Napi::Function::New(env, fstat_at, "fstatat"));
    exports.Set("fchownat", Napi::Function::New(env, fchown_at, "fchownat"));
    exports.Set("fchmodat", Napi::Function::New(env, fchmod_at, "fchmodat"));
    exports.Set("utimensat", Napi::Function::New(env, utimens_at, "utimensat"));
    exports.Set("setxattr", Napi::Function::New(env, set_xattr, "setxattr"));
    exports.Set("getxattr", Napi::Function::New(env, get_xattr, "getxattr"));
    exports.Set("listxattr", Napi::Function::New(env, list_xattr, "listxattr"));
    exports.Set("removexattr", Napi::Function::New(env, remove_xattr, "removexattr"));
}

} // namespace tare
