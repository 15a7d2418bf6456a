#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace havn {

std::optional<IpAddress> parse_ip(std::string_view text) {
    const std::string terminated(text);
    IpAddress address{};
    if (inet_pton(AF_INET6, terminated.c_str(), address.data()) == 1) return address;
    address = {};
    address[10] = address[11] = 0xff;
    if (inet_pton(AF_INET, terminated.c_str(), address.data() + 12) == 1) return address;
    return std::nullopt;
}

std::string to_text(const IpAddress& address) {
    static constexpr std::uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char text[INET6_ADDRSTRLEN] = "";
    if (std::memcmp(address.data(), mapped, sizeof mapped) == 0) {
        inet_ntop(AF_INET, address.data() + 12, text, sizeof text);
    } else {
        inet_ntop(AF_INET6, address.data(), text, sizeof text);
    }
    return text;
}

std::optional<Network> parse_network(std::string_view text) {
    const std::size_t slash = text.find('/');
    const std::optional<IpAddress> address = parse_ip(text.substr(0, slash));
    if (!address) return std::nullopt;
    if (slash == std::string_view::npos) return Network{*address, 128};
    const std::string_view digits = text.substr(slash + 1);
    unsigned prefix = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    const bool is_v4 = text.substr(0, slash).find(':') == std::string_view::npos;
    if (error != std::errc{} || end != digits.data() + digits.size() || prefix > (is_v4 ? 32u : 128u)) {
        return std::nullopt;
    }
    return Network{*address, is_v4 ? prefix + 96 : prefix};
}

bool contains(const Network& network, const IpAddress& address) {
    const unsigned bytes = network.prefix / 8, bits = network.prefix % 8;
    if (std::memcmp(network.address.data(), address.data(), bytes) != 0) return false;
    if (bits == 0) return true;
    const unsigned mask = 0xffu << (8 - bits) & 0xffu;
    return ((network.address[bytes] ^ address[bytes]) & mask) == 0;
}

bool contains_any(std::span<const Network> networks, const IpAddress& address) {
    return std::ranges::any_of(networks, [&](const Network& network) { return contains(network, address); });
}

}  // namespace havn
