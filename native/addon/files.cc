/*
 * files.cc: descriptors and files. Every descriptor made here is close-on-exec: what a child gets is named in its spawn.
 * open(2), openat2(2), pipe2(2), eventfd(2), memfd_create(2), fcntl(2), flock(2), statfs(2), ioctl_tty(2).
 */
#include "addon.h"

#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3; <linux/memfd.h> */
#endif

namespace tare {

static Napi::Value open_file(const Napi::CallbackInfo &info)
{
    std::string path = get_string(info, 0);
    int flags = get_int(info, 1) | O_CLOEXEC;
    unsigned mode = info[2].IsUndefined() ? 0 : get_uint32(info, 2);
    int fd = open(path.c_str(), flags, mode);
    if (fd < 0)
        throw failure(info.Env(), "open", errno,
                      {show_string(path), show_hex(static_cast<unsigned>(flags)), show_octal(mode)});
    return Napi::Number::New(info.Env(), fd);
}

static Napi::Value open_at2(const Napi::CallbackInfo &info)
{
    int dirfd = get_int(info, 0);
    std::string path = get_name(info, 1);
    struct open_how how = {};
    how.flags = get_unsigned(info, 2) | O_CLOEXEC;
    how.mode = get_unsigned(info, 3);
    how.resolve = get_unsigned(info, 4);
    /* The kernel's answer to a rename that went on at the same time is EAGAIN: openat2(2) says to try again. */
    long fd;
    int tries = 0;
    do
        fd = syscall(SYS_openat2, dirfd, path.c_str(), &how, sizeof how);
    while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < 128)));
    if (fd < 0)
        throw failure(info.Env(), "openat2", errno,
                      {show_fd(dirfd), show_string(path),
                       "{flags=" + show_hex(how.flags) + ", mode=" + show_octal(how.mode) +
                           ", resolve=" + show_hex(how.resolve) + "}",
                       show(sizeof how)});
    return Napi::Number::New(info.Env(), static_cast<double>(fd));
}

static Napi::Value close_file(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    /* On Linux the descriptor is gone even after EINTR: close(2). */
    if (close(fd) < 0 && errno != EINTR) throw failure(info.Env(), "close", errno, {show_fd(fd)});
    return info.Env().Undefined();
}

static Napi::Value dup_file(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw failure(info.Env(), "fcntl", errno, {show_fd(fd), "F_DUPFD_CLOEXEC", "3"});
    return Napi::Number::New(info.Env(), copy);
}

static Napi::Value make_pipe(const Napi::CallbackInfo &info)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) throw failure(info.Env(), "pipe2", errno, {"O_CLOEXEC"});
    Napi::Array pair = Napi::Array::New(info.Env(), 2);
    pair.Set(0u, Napi::Number::New(info.Env(), ends[0]));
    pair.Set(1u, Napi::Number::New(info.Env(), ends[1]));
    return pair;
}

static Napi::Value make_eventfd(const Napi::CallbackInfo &info)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) throw failure(info.Env(), "eventfd2", errno, {"0", "EFD_CLOEXEC|EFD_NONBLOCK"});
    return Napi::Number::New(info.Env(), fd);
}

static int write_all(int fd, Bytes bytes)
{
    size_t done = 0;
    while (done < bytes.size) {
        ssize_t n = write(fd, bytes.data + done, bytes.size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        done += static_cast<size_t>(n);
    }
    return 0;
}

static Napi::Value sealed_memfd(const Napi::CallbackInfo &info)
{
    std::string name = get_string(info, 0);
    Bytes bytes = get_bytes(info, 1);
    /* MFD_EXEC says on purpose what was the rule before Linux 6.3, which does not know the flag (EINVAL). */
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC;
    int fd = memfd_create(name.c_str(), flags);
    if (fd < 0 && errno == EINVAL) {
        flags &= ~MFD_EXEC;
        fd = memfd_create(name.c_str(), flags);
    }
    if (fd < 0) throw failure(info.Env(), "memfd_create", errno, {show_string(name), show_hex(flags)});
    if (write_all(fd, bytes) < 0) {
        int error = errno;
        close(fd);
        throw failure(info.Env(), "write", error, {show_fd(fd), "...", show(static_cast<int64_t>(bytes.size))});
    }
    int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (fcntl(fd, F_ADD_SEALS, seals) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
        int error = errno;
        close(fd);
        throw failure(info.Env(), "fcntl", error, {show_fd(fd), "F_ADD_SEALS", show_hex(static_cast<unsigned>(seals))});
    }
    return Napi::Number::New(info.Env(), fd);
}

static Napi::Value lock_file(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    int operation = get_int(info, 1);
    int result;
    do
        result = flock(fd, operation);
    while (result < 0 && errno == EINTR);
    if (result < 0) throw failure(info.Env(), "flock", errno, {show_fd(fd), show(operation)});
    return info.Env().Undefined();
}

static Napi::Value set_window_size(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    struct winsize size = {};
    uint64_t columns = get_unsigned(info, 1), rows = get_unsigned(info, 2);
    if (columns > USHRT_MAX || rows > USHRT_MAX)
        throw Napi::RangeError::New(info.Env(), "a window has at most 65535 columns and rows");
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = static_cast<unsigned short>(rows);
    if (ioctl(fd, TIOCSWINSZ, &size) < 0)
        throw failure(info.Env(), "ioctl", errno,
                      {show_fd(fd), "TIOCSWINSZ", "{ws_row=" + show(size.ws_row) + ", ws_col=" + show(size.ws_col) + "}"});
    return info.Env().Undefined();
}

/* What the container writes reaches the reader as it was written: our own terminal, if there is one, makes CR LF of it. */
static Napi::Value clear_onlcr(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    struct termios terminal;
    if (tcgetattr(fd, &terminal) < 0) throw failure(info.Env(), "tcgetattr", errno, {show_fd(fd)});
    terminal.c_oflag &= ~static_cast<tcflag_t>(ONLCR);
    if (tcsetattr(fd, TCSANOW, &terminal) < 0) throw failure(info.Env(), "tcsetattr", errno, {show_fd(fd), "TCSANOW", "ONLCR off"});
    return info.Env().Undefined();
}

static Napi::Value get_window_size(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    struct winsize size = {};
    if (ioctl(fd, TIOCGWINSZ, &size) < 0) throw failure(info.Env(), "ioctl", errno, {show_fd(fd), "TIOCGWINSZ"});
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("columns", Napi::Number::New(info.Env(), size.ws_col));
    result.Set("rows", Napi::Number::New(info.Env(), size.ws_row));
    return result;
}

static Napi::Value fs_magic(const Napi::CallbackInfo &info)
{
    std::string path = get_string(info, 0);
    struct statfs facts;
    if (statfs(path.c_str(), &facts) < 0) throw failure(info.Env(), "statfs", errno, {show_string(path)});
    return Napi::Number::New(info.Env(), static_cast<double>(facts.f_type));
}

void register_files(Napi::Env env, Napi::Object exports)
{
    exports.Set("open", Napi::Function::New(env, open_file, "open"));
    exports.Set("openat2", Napi::Function::New(env, open_at2, "openat2"));
    exports.Set("close", Napi::Function::New(env, close_file, "close"));
    exports.Set("dup", Napi::Function::New(env, dup_file, "dup"));
    exports.Set("eventfd", Napi::Function::New(env, make_eventfd, "eventfd"));
    exports.Set("pipe", Napi::Function::New(env, make_pipe, "pipe"));
    exports.Set("sealedMemfd", Napi::Function::New(env, sealed_memfd, "sealedMemfd"));
    exports.Set("flock", Napi::Function::New(env, lock_file, "flock"));
    exports.Set("clearOnlcr", Napi::Function::New(env, clear_onlcr, "clearOnlcr"));
    exports.Set("setWindowSize", Napi::Function::New(env, set_window_size, "setWindowSize"));
    exports.Set("getWindowSize", Napi::Function::New(env, get_window_size, "getWindowSize"));
    exports.Set("fsMagic", Napi::Function::New(env, fs_magic, "fsMagic"));
}

} // namespace tare
