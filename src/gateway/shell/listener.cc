#include "gateway/shell/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "gateway/shell/worker.h"

namespace havn::gateway {

static constexpr int accepts_per_event = 64;  // so that a flood of connections starves no request

static std::string address_text(const sockaddr_storage& address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address.ss_family == AF_INET) {
        ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof text);
    } else if (address.ss_family == AF_INET6) {
        const in6_addr& ip = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&ip)) {
            ::inet_ntop(AF_INET, ip.s6_addr + 12, text, sizeof text);
        } else {
            ::inet_ntop(AF_INET6, &ip, text, sizeof text);
        }
    } else {
        return "127.0.0.1";  // a Unix socket's peer is on this machine
    }
    return text;
}

void Listener::on_ready(std::uint32_t) {
    for (int i = 0; i < accepts_per_event; ++i) {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        io::Fd fd(
            ::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (fd) {
            worker_.accepted(std::move(fd), address_text(address), service_);
            continue;
        }
        if (errno == EAGAIN) return;
        if (errno == EINTR || errno == ECONNABORTED) continue;
        return worker_.accept_failed(errno);
    }
}

}  // namespace havn::gateway
