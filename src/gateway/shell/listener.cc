#include "gateway/shell/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "gateway/shell/acceptor.h"

namespace havn::gateway {
namespace {

constexpr int accepts_per_event = 64;  // a flood of connections leaves time for requests

// A Unix socket's peer is on this machine.
IpAddress ip_of(const sockaddr_storage& address) {
    IpAddress ip{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    if (address.ss_family == AF_INET) {
        std::memcpy(ip.data() + 12, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, 4);
    } else if (address.ss_family == AF_INET6) {
        std::memcpy(ip.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, ip.size());
    }
    return ip;
}

}  // namespace

void Listener::on_ready(std::uint32_t) {
    for (int i = 0; i < accepts_per_event; ++i) {
        // The event is for one: nobody has to make room for a second one that may not be there.
        Admission::Place place =
            i == 0 ? acceptor_.place_for_one(of_edge()) : acceptor_.place_at_hand(of_edge());
        if (!place) return;
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        io::Fd fd(
            ::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (fd) {
            acceptor_.accepted(std::move(fd), ip_of(address), std::move(place), service_);
            continue;
        }
        if (errno == EAGAIN) return;
        if (errno == EINTR || errno == ECONNABORTED) continue;
        return acceptor_.accept_failed(errno);
    }
}

}  // namespace havn::gateway
