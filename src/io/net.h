// Addresses and listening sockets.
//
// An address is written "127.0.0.1:8080", "[::1]:8080" or "unix:PATH". A Unix path may be longer than the
// kernel's 107 bytes: it is then reached through its folder's descriptor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/asio.h"
#include "io/fd.h"

namespace havn::io {

struct Address {
    asio::generic::stream_protocol::endpoint endpoint;
    bool is_unix = false;
};

Result<Address> parse_address(std::string_view text);

struct ListenOptions {
    int backlog = 4096;
    bool reuse_port = false;  // several sockets on one TCP address, the kernel spreads connections over them
    unsigned unix_mode = 0600;
};

// A bound, listening, non-blocking, close-on-exec socket. "Port taken" names the address and what to do.
// A Unix socket file left by a dead process is replaced.
Result<Fd> listen_on(std::string_view address, const ListenOptions& options);

// Connects within `timeout`; the socket has TCP_NODELAY set where that applies.
Task<Result<StreamSocket>> connect_to(std::string address, Duration timeout);

// The protocol of an inherited listening socket is read from the socket itself.
Result<Acceptor> adopt_acceptor(Executor executor, Fd listening);

// A port in [10000, 32768) that nobody listens on at 127.0.0.1 now, searched upwards from `from`.
Result<std::uint16_t> find_free_port(std::uint16_t from);

}  // namespace havn::io
