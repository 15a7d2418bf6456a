#include "manifest/syntax/amqp_url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text/percent.h"

namespace havn::manifest {
namespace {

constexpr std::string_view remedy =
    "write amqp://USER:PASSWORD@HOST:PORT/VHOST, such as amqp://shop:secret@10.0.0.5:5672/";

std::unexpected<Error> bad(std::string_view why) {
    return fail(Error::Kind::invalid, "not an AMQP address: " + std::string(why), std::string(remedy));
}

// Percent-decoded; nothing for a broken escape, a control character or more than a shortstr holds.
std::optional<std::string> decoded(std::string_view text) {
    if (!is_percent_encoded(text)) return std::nullopt;
    std::string result = percent_decode(text);
    const bool printable =
        std::ranges::all_of(result, [](char c) { return static_cast<unsigned char>(c) >= ' '; });
    if (!printable || result.size() > 255) return std::nullopt;
    return result;
}

Result<> read_credentials(std::string_view text, AmqpUrl& url) {
    const std::size_t colon = text.find(':');
    const std::optional<std::string> user = decoded(text.substr(0, colon));
    const std::optional<std::string> password =
        colon == text.npos ? std::string() : decoded(text.substr(colon + 1));
    if (!user || user->empty() || !password) {
        return bad("the part before @ must be USER:PASSWORD, percent-encoded");
    }
    url.user = *user;
    url.password = *password;
    return {};
}

// Names are not looked up: the gateway's data path never waits for a resolver.
bool is_ip_address(std::string host) {
    in6_addr address;
    if (host.starts_with('[') && host.ends_with(']')) {
        return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &address) == 1;
    }
    return host == "localhost" || inet_pton(AF_INET, host.c_str(), &address) == 1;
}

Result<> read_host(std::string_view text, AmqpUrl& url) {
    const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
    if (bracket == text.npos) return bad("[ without ]");
    const std::size_t colon = text.find(':', bracket);
    url.host = text.substr(0, colon);
    const std::size_t odd = url.host.find_first_of(" \t\"'<>\\%@");
    if (url.host.empty() || odd != url.host.npos) return bad("it has no host");
    if (!is_ip_address(url.host)) return bad("the host must be an IP address or localhost, not a name");
    if (colon == text.npos) return {};
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), url.port);
    if (error != std::errc() || end != digits.data() + digits.size() || url.port == 0) {
        return bad("the port must be a number from 1 to 65535");
    }
    return {};
}

}  // namespace

Result<AmqpUrl> parse_amqp_url(std::string_view text) {
    if (text.starts_with("amqps://")) {
        return fail(Error::Kind::invalid,
                    "amqps:// needs TLS, which the gateway of this version does not speak",
                    "use amqp:// over a private network");
    }
    if (!text.starts_with("amqp://")) return bad("it must begin with amqp://");
    AmqpUrl url;
    std::string_view authority = text.substr(7);
    const std::size_t slash = authority.find('/');
    if (slash != authority.npos) {
        const std::string_view path = authority.substr(slash + 1);
        const std::optional<std::string> vhost = decoded(path);
        if (!vhost || path.find_first_of("/?#") != path.npos) {
            return bad("write the vhost / as %2F, or leave it out");
        }
        if (!vhost->empty()) url.vhost = *vhost;
        authority = authority.substr(0, slash);
    }
    const std::size_t at = authority.rfind('@');
    if (at != authority.npos) {
        if (Result<> read = read_credentials(authority.substr(0, at), url); !read) {
            return std::unexpected(read.error());
        }
        authority.remove_prefix(at + 1);
    }
    if (Result<> read = read_host(authority, url); !read) return std::unexpected(read.error());
    return url;
}

}  // namespace havn::manifest
