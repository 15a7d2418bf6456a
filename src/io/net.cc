#include "io/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <memory>

#include "io/clock.h"
#include "io/file.h"

namespace havn::io {

namespace {

constexpr std::size_t unix_path_max = sizeof(sockaddr_un::sun_path) - 1;

// A path short enough for sockaddr_un. For a long one, `folder` keeps open what the path goes through.
Result<std::string> short_unix_path(const std::string& path, Fd& folder) {
    if (path.size() <= unix_path_max) return path;
    const std::filesystem::path full(path);
    Result<Fd> opened = open_file(full.parent_path().string(), O_PATH | O_DIRECTORY);
    if (!opened) return std::unexpected(opened.error());
    folder = std::move(*opened);
    std::string shorter = "/proc/self/fd/" + std::to_string(folder.get()) + "/" + full.filename().string();
    if (shorter.size() > unix_path_max) {
        return fail(Error::Kind::invalid, "socket name too long: " + full.filename().string());
    }
    return shorter;
}

Address tcp_address(const asio::ip::address& address, std::uint16_t port) {
    return {asio::ip::tcp::endpoint(address, port), false};
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
    if (text.starts_with("unix:")) {
        const std::string path(text.substr(5));
        if (path.empty() || path.size() > unix_path_max) {
            return fail(Error::Kind::invalid, "socket path empty or too long: '" + path + "'");
        }
        return Address{asio::local::stream_protocol::endpoint(path), true};
    }
    const std::size_t colon = text.rfind(':');
    const std::string expected = "expected HOST:PORT, as 127.0.0.1:8080 or [::1]:8080";
    if (colon == std::string_view::npos) {
        return fail(Error::Kind::invalid, "address '" + std::string(text) + "' has no port", expected);
    }
    std::string host(text.substr(0, colon));
    const std::string_view digits = text.substr(colon + 1);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (host == "localhost") host = "127.0.0.1";
    if (host.empty() || host == "*") host = "0.0.0.0";
    std::uint16_t port = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || end != digits.data() + digits.size()) {
        return fail(Error::Kind::invalid,
                    "port '" + std::string(digits) + "' is not a number from 0 to 65535", expected);
    }
    ErrorCode code;
    const asio::ip::address address = asio::ip::make_address(host, code);
    if (code) return fail(Error::Kind::invalid, "'" + host + "' is not an IP address", expected);
    return tcp_address(address, port);
}

namespace {

Result<Fd> bind_and_listen(const Address& address, std::string_view text, const ListenOptions& options) {
    const int family = address.endpoint.protocol().family();
    Fd socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("socket");
    const int on = 1;
    if (!address.is_unix) {
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on,
                     sizeof on);  // inherited by what is accepted
        if (family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        if (options.reuse_port && ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
            return fail_errno("SO_REUSEPORT");
        }
    }
    if (::bind(socket.get(), address.endpoint.data(), static_cast<socklen_t>(address.endpoint.size())) != 0) {
        if (errno == EADDRINUSE) {
            const std::string_view port = text.substr(text.rfind(':') + 1);
            return fail(Error::Kind::unavailable,
                        "cannot listen on " + std::string(text) + ": another process has it",
                        "see which one with `ss -ltnp 'sport = :" + std::string(port) +
                            "'`, or give another address in havn.toml");
        }
        if (errno == EACCES) {
            return fail(Error::Kind::denied, "cannot listen on " + std::string(text) + ": no permission",
                        "ports below 1024 need root; or give a port above in havn.toml");
        }
        if (errno == EADDRNOTAVAIL) {
            return fail(
                Error::Kind::invalid,
                "cannot listen on " + std::string(text) + ": no interface of this host has this address",
                "`ip -brief address` shows those there are; 0.0.0.0 and [::] stand for all of them");
        }
        return fail_errno("cannot listen on " + std::string(text));
    }
    if (::listen(socket.get(), options.backlog) != 0) return fail_errno("listen on " + std::string(text));
    return socket;
}

}  // namespace

Result<Fd> listen_on(std::string_view text, const ListenOptions& options) {
    if (!text.starts_with("unix:")) {
        Result<Address> address = parse_address(text);
        if (!address) return std::unexpected(address.error());
        return bind_and_listen(*address, text, options);
    }
    Fd folder;
    const std::string path(text.substr(5));
    Result<std::string> shorter = short_unix_path(path, folder);
    if (!shorter) return std::unexpected(shorter.error());
    ::unlink(shorter->c_str());
    const Address address{asio::local::stream_protocol::endpoint(*shorter), true};
    Result<Fd> socket = bind_and_listen(address, text, options);
    if (socket && ::chmod(shorter->c_str(), options.unix_mode) != 0) return fail_errno("chmod " + path);
    return socket;
}

Task<Result<StreamSocket>> connect_to(std::string text, Duration timeout) {
    Executor executor = co_await asio::this_coro::executor;
    Fd folder;
    std::string short_text = text;
    if (text.starts_with("unix:")) {
        Result<std::string> shorter = short_unix_path(text.substr(5), folder);
        if (!shorter) co_return std::unexpected(shorter.error());
        short_text = "unix:" + *shorter;
    }
    Result<Address> address = parse_address(short_text);
    if (!address) co_return std::unexpected(address.error());

    // Shared with the timer's handler, which may still be queued when this coroutine has gone on.
    auto socket = std::make_shared<StreamSocket>(executor);
    Timer timer(executor, timeout);
    timer.async_wait([socket](ErrorCode error) {
        if (!error) socket->close(error);
    });
    auto [error] = co_await socket->async_connect(address->endpoint, result);
    const bool timed_out = timer.cancel() == 0 && !socket->is_open();
    if (timed_out) co_return fail(Error::Kind::unavailable, "connect to " + text + ": timed out");
    if (error) co_return fail_errno("connect to " + text, error.value());
    if (!address->is_unix) {
        ErrorCode ignored;
        socket->set_option(asio::ip::tcp::no_delay(true), ignored);
    }
    co_return std::move(*socket);
}

Result<Acceptor> adopt_acceptor(Executor executor, Fd listening) {
    int family = 0;
    socklen_t size = sizeof family;
    if (::getsockopt(listening.get(), SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) {
        return fail_errno("inherited listening socket");
    }
    Acceptor acceptor(executor);
    ErrorCode error;
    acceptor.assign(asio::generic::stream_protocol(family, family == AF_UNIX ? 0 : IPPROTO_TCP),
                    listening.get(), error);
    if (error) return fail_errno("inherited listening socket", error.value());
    listening.release();
    acceptor.non_blocking(true, error);
    return acceptor;
}

Result<std::uint16_t> find_free_port(std::uint16_t from) {
    constexpr std::uint16_t first = 10000, last = 32767;  // below the kernel's range for outgoing connections
    std::uint16_t port = std::clamp(from, first, last);
    for (int tried = first; tried <= last; ++tried) {
        Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!socket) return fail_errno("socket");
        const int on = 1;  // as a server would: a port in TIME_WAIT is free
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
            ::listen(socket.get(), 1) == 0) {
            return port;
        }
        port = port == last ? first : static_cast<std::uint16_t>(port + 1);
    }
    return fail(Error::Kind::unavailable, "no free port between 10000 and 32767");
}

}  // namespace havn::io
