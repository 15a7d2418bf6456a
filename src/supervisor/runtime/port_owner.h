// Whose socket listens on a port of 127.0.0.1: a program is told its port before it listens there, and
// another user of the host may be quicker. And where a program listens that does not listen there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace havn::supervisor {

struct PortOwner {
    uid_t uid = 0;
    std::uint32_t inode = 0;  // of the socket
};

// From the kernel (sock_diag(7)); nothing when nobody listens or the kernel does not say.
std::optional<PortOwner> listener_on(std::uint16_t port);

// Whether one of the processes has that socket open.
bool has_socket(const std::vector<int>& pids, std::uint32_t inode);

// A TCP address that one of the processes listens on, such as "0.0.0.0:8000"; nothing when there is none or
// the kernel does not say. Looks at every listening socket of the host.
std::optional<std::string> listens_on(const std::vector<int>& pids);

}  // namespace havn::supervisor
