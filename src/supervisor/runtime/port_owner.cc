#include "supervisor/runtime/port_owner.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>
#include <string_view>

#include "io/fd.h"

namespace havn::supervisor {

namespace {

constexpr std::uint32_t listening = 1u << 10;  // TCP_LISTEN, as a set of states

}  // namespace

struct DiagRequest {
    nlmsghdr head;
    inet_diag_req_v2 body;
};

namespace {

// A question about listening TCP sockets; the kernel answers within the call that sends, or that receives.
DiagRequest diag_request(int family, int flags) {
    DiagRequest request{};
    request.head.nlmsg_len = sizeof request;
    request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    request.body.sdiag_family = static_cast<std::uint8_t>(family);
    request.body.sdiag_protocol = IPPROTO_TCP;
    request.body.idiag_states = listening;
    return request;
}

io::Fd ask_kernel(const DiagRequest& request) {
    io::Fd socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
    if (socket && ::send(socket.get(), &request, sizeof request, 0) != sizeof request) socket.reset();
    return socket;
}

constexpr std::size_t entry_bytes = NLMSG_HDRLEN + sizeof(inet_diag_msg);

// The socket of the answer's first message; nothing at the end of a list, and on an error.
std::optional<inet_diag_msg> first_socket(std::string_view answer, std::size_t& size) {
    nlmsghdr head{};
    inet_diag_msg found{};
    if (answer.size() < entry_bytes) return std::nullopt;
    std::memcpy(&head, answer.data(), sizeof head);
    std::memcpy(&found, answer.data() + NLMSG_HDRLEN, sizeof found);
    if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY || head.nlmsg_len < entry_bytes) return std::nullopt;
    size = std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), answer.size());
    return found;
}

}  // namespace

std::optional<PortOwner> listener_on(std::uint16_t port) {
    DiagRequest request = diag_request(AF_INET, 0);
    request.body.id.idiag_sport = htons(port);
    request.body.id.idiag_src[0] = htonl(INADDR_LOOPBACK);
    request.body.id.idiag_cookie[0] = request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    const io::Fd socket = ask_kernel(request);
    if (!socket) return std::nullopt;
    std::array<char, 4096> answer;
    const ssize_t size = ::recv(socket.get(), answer.data(), answer.size(), 0);
    std::size_t taken = 0;
    const auto found =
        first_socket({answer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))}, taken);
    if (!found) return std::nullopt;
    return PortOwner{found->idiag_uid, found->idiag_inode};
}

namespace {

constexpr std::size_t descriptors_looked_at = 20'000;  // in one turn of the loop

// Shows the sockets that the processes have open until `visit` has seen enough.
void each_socket(const std::vector<int>& pids, std::size_t entries_max, auto visit) {
    static constexpr std::string_view prefix = "socket:[";
    for (const int pid : pids) {
        std::error_code error;
        std::filesystem::directory_iterator entry(fmt::format("/proc/{}/fd", pid), error), end;
        for (; !error && entry != end; entry.increment(error)) {
            if (entries_max-- == 0) return;
            std::error_code gone;
            const std::string text = std::filesystem::read_symlink(entry->path(), gone).string();
            if (!text.starts_with(prefix)) continue;
            std::uint32_t inode = 0;
            std::from_chars(text.data() + prefix.size(), text.data() + text.size(), inode);
            if (!visit(inode)) return;
        }
    }
}

std::string address_of(const inet_diag_msg& socket) {
    std::array<char, INET6_ADDRSTRLEN> host{};
    ::inet_ntop(socket.idiag_family, socket.id.idiag_src, host.data(), host.size());
    const bool is_v6 = socket.idiag_family == AF_INET6;
    return fmt::format("{}{}{}:{}", is_v6 ? "[" : "", host.data(), is_v6 ? "]" : "",
                       ntohs(socket.id.idiag_sport));
}

std::optional<std::string> first_listener(int family, const std::set<std::uint32_t>& inodes) {
    const io::Fd socket = ask_kernel(diag_request(family, NLM_F_DUMP));
    if (!socket) return std::nullopt;
    static constexpr int rounds_max = 4'096;  // of about 200 sockets each
    std::array<char, 32'768> answer;
    for (int round = 0; round < rounds_max; ++round) {
        const ssize_t size = ::recv(socket.get(), answer.data(), answer.size(), 0);
        if (size <= 0) return std::nullopt;
        for (std::string_view rest(answer.data(), static_cast<std::size_t>(size)); !rest.empty();) {
            std::size_t taken = 0;
            const std::optional<inet_diag_msg> found = first_socket(rest, taken);
            if (!found) return std::nullopt;
            if (inodes.contains(found->idiag_inode)) return address_of(*found);
            rest.remove_prefix(taken);
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> listens_on(const std::vector<int>& pids) {
    std::set<std::uint32_t> inodes;
    each_socket(pids, descriptors_looked_at, [&inodes](std::uint32_t inode) {
        inodes.insert(inode);
        return true;
    });
    if (inodes.empty()) return std::nullopt;
    if (auto found = first_listener(AF_INET, inodes)) return found;
    return first_listener(AF_INET6, inodes);
}

bool has_socket(const std::vector<int>& pids, std::uint32_t inode) {
    bool found = false;
    each_socket(pids, std::numeric_limits<std::size_t>::max(), [&](std::uint32_t other) {
        found = other == inode;
        return !found;
    });
    return found;
}

}  // namespace havn::supervisor
