/*
 * netlink.cc: one question to the kernel by netlink(7), and all of its answers: what only whoever is in a network namespace can
 * ask. Changes are a plan's affair.
 */
#include "addon.h"

#include <cerrno>
#include <cstring>

#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tare {

constexpr size_t MAX_ANSWER = 16u << 20;

namespace {
struct Socket {
    int fd;
    ~Socket() { close(fd); }
};
}

/* 1 when the answer is complete, 0 when more follows; the negative errno of a refusal. */
static int look_at(const char *data, size_t size)
{
    while (size >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr header;
        memcpy(&header, data, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > size) return -EPROTO;
        if (header.nlmsg_type == NLMSG_DONE) return 1;
        if (header.nlmsg_type == NLMSG_ERROR) {
            int error = -EPROTO;
            if (header.nlmsg_len >= sizeof header + sizeof error) memcpy(&error, data + sizeof header, sizeof error);
            return error < 0 ? error : 1;
        }
        size_t step = NLMSG_ALIGN(header.nlmsg_len);
        if (step >= size) break;
        data += step;
        size -= step;
    }
    return 0;
}

/* ask(protocol, request): the request wants an acknowledgement, or is a dump, which ends by itself. */
static Napi::Value ask(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    int protocol = get_int(info, 0);
    Bytes request = get_bytes(info, 1);
    struct nlmsghdr header = {};
    if (request.size < sizeof header) throw failure(env, "send", EINVAL, {"netlink", show(static_cast<int64_t>(request.size))});
    memcpy(&header, request.data, sizeof header);
    /* The kernel passes over in silence what is no whole message. */
    if (header.nlmsg_len != request.size) throw failure(env, "send", EINVAL, {"netlink", show(header.nlmsg_len)});
    if (!(header.nlmsg_flags & (NLM_F_ACK | NLM_F_DUMP))) throw failure(env, "send", EINVAL, {"netlink", "without NLM_F_ACK"});

    Socket netlink = {socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)};
    if (netlink.fd < 0) throw failure(env, "socket", errno, {"AF_NETLINK", "SOCK_RAW|SOCK_CLOEXEC", show(protocol)});
    if (send(netlink.fd, request.data, request.size, 0) < 0) throw failure(env, "send", errno, {show_fd(netlink.fd), "netlink"});

    std::vector<char> answers;
    for (int complete = 0; complete == 0;) {
        char part[32768]; /* NLMSG_GOODSIZE and more: the kernel makes no larger one for who reads so much */
        ssize_t size = recv(netlink.fd, part, sizeof part, MSG_TRUNC);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) throw failure(env, "recv", errno, {show_fd(netlink.fd), "netlink"});
        if (static_cast<size_t>(size) > sizeof part || answers.size() + static_cast<size_t>(size) > MAX_ANSWER)
            throw failure(env, "recv", EMSGSIZE, {show_fd(netlink.fd), "netlink"});
        complete = look_at(part, static_cast<size_t>(size));
        if (complete < 0) throw failure(env, "netlink", -complete, {show(header.nlmsg_type)});
        answers.insert(answers.end(), part, part + size);
    }
    return Napi::Buffer<char>::Copy(env, answers.data(), answers.size());
}

void register_netlink(Napi::Env env, Napi::Object exports)
{
    exports.Set("netlink", Napi::Function::New(env, ask, "netlink"));
}

} // namespace tare
