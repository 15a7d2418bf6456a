// IP addresses and the networks they belong to, in one form: 16 bytes, IPv4 mapped into IPv6.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace havn {

using IpAddress = std::array<std::uint8_t, 16>;

struct Network {
    IpAddress address{};
    unsigned prefix = 128;  // of 128 bits
};

std::optional<IpAddress> parse_ip(std::string_view text);
std::string to_text(const IpAddress& address);                // IPv4 in its own form
std::optional<Network> parse_network(std::string_view text);  // "10.0.0.0/8", "::1"; no prefix: one address
bool contains(const Network& network, const IpAddress& address);
bool contains_any(std::span<const Network> networks, const IpAddress& address);

}  // namespace havn
