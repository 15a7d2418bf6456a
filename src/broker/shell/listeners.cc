#include "broker/shell/listeners.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/log.h"
#include "io/asio.h"

namespace havn::broker {

namespace {

Connection::Peer peer_of(const io::asio::generic::stream_protocol::endpoint& endpoint) {
    if (endpoint.protocol().family() == AF_UNIX) return {"unix", true, true};
    io::asio::ip::tcp::endpoint tcp;
    tcp.resize(endpoint.size());
    std::memcpy(tcp.data(), endpoint.data(), endpoint.size());
    std::string text = tcp.address().to_string();
    if (tcp.address().is_v6()) text = "[" + text + "]";
    return {text + ":" + std::to_string(tcp.port()), tcp.address().is_loopback()};
}

}  // namespace

Result<> Listeners::replace(const link::Listeners& listeners, std::vector<io::Fd> descriptors) {
    if (listeners.entries.size() != descriptors.size()) {
        return fail(Error::Kind::invalid, "a 'listeners' message without one descriptor for each");
    }
    std::map<std::string, AcceptorPtr> wanted;
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
        const std::string key = listeners.entries[i].name + " " + listeners.entries[i].address;
        if (const auto known = acceptors_.find(key); known != acceptors_.end()) {
            wanted.insert(*known);
            continue;
        }
        Result<io::Acceptor> acceptor = io::adopt_acceptor(loop_.executor(), std::move(descriptors[i]));
        if (!acceptor) return std::unexpected(acceptor.error());
        wanted[key] = std::make_shared<io::Acceptor>(std::move(*acceptor));
        loop_.spawn(accept(wanted[key], &server_));
    }
    for (const auto& [key, acceptor] : acceptors_) {
        if (wanted.contains(key)) continue;
        io::ErrorCode ignored;
        acceptor->close(ignored);
    }
    acceptors_ = std::move(wanted);
    return {};
}

void Listeners::close() {
    for (const auto& [key, acceptor] : acceptors_) {
        io::ErrorCode ignored;
        acceptor->close(ignored);
    }
    acceptors_.clear();
}

io::Task<void> Listeners::accept(AcceptorPtr acceptor, Server* server) {
    bool logged_failure = false;
    while (acceptor->is_open()) {
        io::asio::generic::stream_protocol::endpoint from;
        auto [error, socket] = co_await acceptor->async_accept(from, io::result);
        if (error == io::asio::error::operation_aborted) break;
        if (error) {  // no descriptors left, most likely: those who wait stay in the kernel's backlog
            if (!logged_failure) log::warning("accepting a connection: {}; trying again", error.message());
            logged_failure = true;
            co_await io::sleep_for(milliseconds(100));
            continue;
        }
        logged_failure = false;
        const Connection::Peer peer = peer_of(from);
        if (from.protocol().family() != AF_UNIX) {
            const int on = 1;
            ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        }
        server->add_connection(io::StreamSocket(std::move(socket)), peer);
    }
}

}  // namespace havn::broker
