/*
 * sockets.cc: Unix sockets that carry messages and descriptors. SOCK_SEQPACKET keeps the bounds of messages, so that a
 * message and its descriptors arrive together or not at all; SOCK_STREAM is what others listen with, and SOCK_DGRAM what they
 * are notified by. unix(7), cmsg(3), sd_notify(3).
 */
#include "addon.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace tare {

constexpr size_t MAX_FDS = 253; /* SCM_MAX_FD of the kernel's <net/scm.h> */
constexpr size_t MAX_MESSAGE = 16u << 20;

static Napi::Value make_socketpair(const Napi::CallbackInfo &info)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        throw failure(info.Env(), "socketpair", errno, {"AF_UNIX", "SOCK_SEQPACKET|SOCK_CLOEXEC|SOCK_NONBLOCK", "0"});
    Napi::Array pair = Napi::Array::New(info.Env(), 2);
    pair.Set(0u, Napi::Number::New(info.Env(), ends[0]));
    pair.Set(1u, Napi::Number::New(info.Env(), ends[1]));
    return pair;
}

static int new_socket(Napi::Env env)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) throw failure(env, "socket", errno, {"AF_UNIX", "SOCK_SEQPACKET|SOCK_CLOEXEC|SOCK_NONBLOCK", "0"});
    return fd;
}

/* sun_path holds 107 bytes, and paths are longer: the directory is named by its descriptor instead. */
static struct sockaddr_un address_at(const Napi::CallbackInfo &info, const char *call, int dirfd, const std::string &name)
{
    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::string path = "/proc/self/fd/" + std::to_string(dirfd) + "/" + name;
    if (name.empty() || name.find('/') != std::string::npos)
        throw failure(info.Env(), call, EINVAL, {show_string(path)});
    if (path.size() >= sizeof address.sun_path)
        throw failure(info.Env(), call, ENAMETOOLONG, {show_string(path)});
    memcpy(address.sun_path, path.data(), path.size());
    return address;
}

static Napi::Error closing(Napi::Env env, int fd, const char *call, int error, const std::string &what)
{
    close(fd);
    return failure(env, call, error, {show_fd(fd), what});
}

/* Somebody else's listener, by the path that they gave. One too long for sun_path is reached by its directory's descriptor. */
static struct sockaddr_un address_of(Napi::Env env, const std::string &path, int *directory)
{
    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::string name = path;
    size_t slash = path.rfind('/');
    if (path.size() >= sizeof address.sun_path && slash != std::string::npos) {
        std::string parent = path.substr(0, slash + 1);
        *directory = open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (*directory < 0) throw failure(env, "open", errno, {show_string(parent), "O_PATH|O_DIRECTORY|O_CLOEXEC"});
        name = "/proc/self/fd/" + std::to_string(*directory) + path.substr(slash);
    }
    /* An empty one would be an abstract name of zeros, unix(7). */
    int error = name.empty() ? ENOENT : name.size() >= sizeof address.sun_path ? ENAMETOOLONG : 0;
    if (error && *directory >= 0) close(*directory);
    if (error) throw failure(env, "connect", error, {show_string(path)});
    memcpy(address.sun_path, name.data(), name.size());
    return address;
}

static Napi::Value connect_to(const Napi::CallbackInfo &info, int type)
{
    Napi::Env env = info.Env();
    std::string path = get_string(info, 0);
    int directory = -1;
    struct sockaddr_un address = address_of(env, path, &directory);
    socklen_t length = sizeof address;
    if (path[0] == '@') { /* an abstract name, as sd_notify(3) writes it: its length tells where it ends */
        address.sun_path[0] = '\0';
        length = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + path.size());
    }
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool connected = fd >= 0 && connect(fd, reinterpret_cast<struct sockaddr *>(&address), length) == 0;
    int error = errno;
    if (directory >= 0) close(directory);
    if (!connected && fd >= 0) close(fd);
    if (!connected) throw failure(env, fd < 0 ? "socket" : "connect", error, {show_string(path)});
    return Napi::Number::New(env, fd);
}

static Napi::Value connect_stream(const Napi::CallbackInfo &info)
{
    return connect_to(info, SOCK_STREAM);
}

static Napi::Value connect_datagram(const Napi::CallbackInfo &info)
{
    return connect_to(info, SOCK_DGRAM);
}

static Napi::Value bind_datagram_at(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    struct sockaddr_un address = address_at(info, "bind", get_int(info, 0), get_string(info, 1));
    mode_t mode = get_unsigned(info, 2) & 0777;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) throw failure(env, "socket", errno, {"AF_UNIX", "SOCK_DGRAM|SOCK_CLOEXEC|SOCK_NONBLOCK", "0"});
    if (fchmod(fd, mode) < 0) throw closing(env, fd, "fchmod", errno, show_octal(mode));
    if (bind(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof address) < 0)
        throw closing(env, fd, "bind", errno, show_string(address.sun_path));
    /* The umask has taken from it: as in listen_at, it was never too open. */
    if (chmod(address.sun_path, mode) < 0) throw closing(env, fd, "chmod", errno, show_string(address.sun_path));
    return Napi::Number::New(env, fd);
}

static Napi::Value listen_at(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    struct sockaddr_un address = address_at(info, "bind", get_int(info, 0), get_string(info, 1));
    int fd = new_socket(env);
    /* The mode of the socket before bind(2) is the mode of the file that bind makes: no window, and no umask of Node's changed. */
    if (fchmod(fd, 0600) < 0) throw closing(env, fd, "fchmod", errno, "0600");
    if (bind(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof address) < 0)
        throw closing(env, fd, "bind", errno, show_string(address.sun_path));
    if (listen(fd, 16) < 0) throw closing(env, fd, "listen", errno, "16");
    return Napi::Number::New(env, fd);
}

static Napi::Value connect_at(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    struct sockaddr_un address = address_at(info, "connect", get_int(info, 0), get_string(info, 1));
    int fd = new_socket(env);
    if (connect(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof address) < 0)
        throw closing(env, fd, "connect", errno, show_string(address.sun_path));
    return Napi::Number::New(env, fd);
}

static Napi::Value send_message(const Napi::CallbackInfo &info)
{
    int fd = get_int(info, 0);
    Bytes bytes = get_bytes(info, 1);
    std::vector<int> fds = get_fds(info, 2);

    struct iovec part = {const_cast<uint8_t *>(bytes.data), bytes.size};
    struct msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    std::vector<char> control(fds.empty() ? 0 : CMSG_SPACE(sizeof(int) * fds.size()));
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0 && static_cast<size_t>(sent) < bytes.size) {
        sent = -1; /* only a stream socket takes a part of a message */
        errno = EPROTOTYPE;
    }
    if (sent < 0)
        throw failure(info.Env(), "sendmsg", errno,
                      {show_fd(fd), "{" + show(static_cast<int64_t>(bytes.size)) + " bytes, SCM_RIGHTS " + show_list(fds) + "}",
                       "MSG_NOSIGNAL|MSG_DONTWAIT"});
    return info.Env().Undefined();
}

static std::vector<int> received_fds(struct msghdr &message)
{
    std::vector<int> fds;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        size_t before = fds.size();
        fds.resize(before + count);
        memcpy(fds.data() + before, CMSG_DATA(part), count * sizeof(int));
    }
    return fds;
}

static Napi::Value receive_message(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    int fd = get_int(info, 0);
    size_t max_bytes = get_unsigned(info, 1), max_fds = get_unsigned(info, 2);
    if (max_bytes > MAX_MESSAGE || max_fds > MAX_FDS)
        throw Napi::RangeError::New(env, "recvmsg takes at most 16 MiB and 253 descriptors");

    std::vector<char> data(max_bytes), control(max_fds == 0 ? 0 : CMSG_SPACE(sizeof(int) * max_fds));
    struct iovec part = {data.data(), data.size()};
    struct msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = max_fds == 0 ? nullptr : control.data();
    /* CMSG_LEN, not CMSG_SPACE: into the padding the kernel would put one descriptor more than asked for. */
    message.msg_controllen = max_fds == 0 ? 0 : CMSG_LEN(sizeof(int) * max_fds);
    ssize_t size;
    do
        size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    if (size < 0 && errno == EAGAIN) return env.Null();

    std::string shown = "{" + show(static_cast<int64_t>(max_bytes)) + " bytes, " + show(static_cast<int64_t>(max_fds)) + " descriptors}";
    if (size < 0) throw failure(env, "recvmsg", errno, {show_fd(fd), shown, "MSG_CMSG_CLOEXEC|MSG_DONTWAIT"});
    std::vector<int> fds = received_fds(message);
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (int received : fds) close(received);
        throw failure(env, "recvmsg", EMSGSIZE, {show_fd(fd), shown, "MSG_CMSG_CLOEXEC|MSG_DONTWAIT"});
    }

    Napi::Object result = Napi::Object::New(env);
    result.Set("data", Napi::Buffer<char>::Copy(env, data.data(), static_cast<size_t>(size)));
    Napi::Array list = Napi::Array::New(env, fds.size());
    for (uint32_t i = 0; i < fds.size(); i++) list.Set(i, Napi::Number::New(env, fds[i]));
    result.Set("fds", list);
    return result;
}

void register_sockets(Napi::Env env, Napi::Object exports)
{
    exports.Set("socketpair", Napi::Function::New(env, make_socketpair, "socketpair"));
    exports.Set("listenAt", Napi::Function::New(env, listen_at, "listenAt"));
    exports.Set("connectAt", Napi::Function::New(env, connect_at, "connectAt"));
    exports.Set("connectStream", Napi::Function::New(env, connect_stream, "connectStream"));
    exports.Set("connectDatagram", Napi::Function::New(env, connect_datagram, "connectDatagram"));
    exports.Set("bindDatagramAt", Napi::Function::New(env, bind_datagram_at, "bindDatagramAt"));
    exports.Set("sendmsg", Napi::Function::New(env, send_message, "sendmsg"));
    exports.Set("recvmsg", Napi::Function::New(env, receive_message, "recvmsg"));
}

} // namespace tare
