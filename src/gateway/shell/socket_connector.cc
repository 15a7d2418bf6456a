#include "gateway/shell/socket_connector.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "gateway/shell/plain_transport.h"
#include "io/net.h"

namespace havn::gateway {

class SocketConnector::Address final : public Destination {
  public:
    Address(SocketConnector& connector, const io::Address& address)
        : connector_(connector), size_(static_cast<socklen_t>(address.endpoint.size())) {
        std::memcpy(&address_, address.endpoint.data(), address.endpoint.size());
    }

    std::unique_ptr<Transport> connect(TransportUser& user) override {
        const int family = address_.ss_family, kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
        io::Fd fd(::socket(family, kind, 0));
        if (!fd && connector_.descriptors_.free_some(errno)) fd.reset(::socket(family, kind, 0));
        if (!fd) return nullptr;
        if (family != AF_UNIX) {
            const int on = 1;
            ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        }
        const int connected = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_), size_);
        if (connected != 0 && errno != EINPROGRESS) return nullptr;
        auto transport = std::make_unique<PlainTransport>(connector_.poller_, user, std::move(fd),
                                                          connector_.admission_.inside());
        if (connected != 0) transport->not_writable_yet();
        if (!transport->watch()) return nullptr;
        return transport;
    }

  private:
    SocketConnector& connector_;
    sockaddr_storage address_{};
    socklen_t size_;
};

Result<std::unique_ptr<Destination>> SocketConnector::destination(const std::string& address) {
    const Result<io::Address> parsed = io::parse_address(address);
    if (!parsed) return std::unexpected(parsed.error());
    return std::make_unique<Address>(*this, *parsed);
}

}  // namespace havn::gateway
