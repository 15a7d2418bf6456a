#include "supervisor/shell/port_owner.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "io/fd.h"

namespace havn::supervisor {

static constexpr std::uint32_t listening = 1u << 10;  // TCP_LISTEN, as a set of states

std::optional<PortOwner> listener_on(std::uint16_t port) {
    const io::Fd socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
    if (!socket) return std::nullopt;
    struct {
        nlmsghdr head;
        inet_diag_req_v2 body;
    } request{};
    request.head.nlmsg_len = sizeof request;
    request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.head.nlmsg_flags = NLM_F_REQUEST;
    request.body.sdiag_family = AF_INET;
    request.body.sdiag_protocol = IPPROTO_TCP;
    request.body.idiag_states = listening;
    request.body.id.idiag_sport = htons(port);
    request.body.id.idiag_src[0] = htonl(INADDR_LOOPBACK);
    request.body.id.idiag_cookie[0] = request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (::send(socket.get(), &request, sizeof request, 0) != sizeof request) return std::nullopt;
    // The kernel answers within the call that sends.
    alignas(nlmsghdr) char answer[4096];
    const ssize_t size = ::recv(socket.get(), answer, sizeof answer, 0);
    constexpr std::size_t needed = NLMSG_HDRLEN + sizeof(inet_diag_msg);
    if (size < static_cast<ssize_t>(needed)) return std::nullopt;
    nlmsghdr head{};
    inet_diag_msg found{};
    std::memcpy(&head, answer, sizeof head);
    std::memcpy(&found, answer + NLMSG_HDRLEN, sizeof found);
    if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY) return std::nullopt;
    return PortOwner{found.idiag_uid, found.idiag_inode};
}

bool has_socket(const std::vector<int>& pids, std::uint32_t inode) {
    const std::string wanted = fmt::format("socket:[{}]", inode);
    for (const int pid : pids) {
        std::error_code error;
        std::filesystem::directory_iterator entry(fmt::format("/proc/{}/fd", pid), error), end;
        for (; !error && entry != end; entry.increment(error)) {
            std::error_code gone;
            if (std::filesystem::read_symlink(entry->path(), gone) == wanted) return true;
        }
    }
    return false;
}

}  // namespace havn::supervisor
