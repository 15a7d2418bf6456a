#include "manifest/syntax/redact.h"

namespace havn::manifest {

std::string redact_urls(std::string_view text) {
    std::string result;
    for (;;) {
        const std::size_t scheme = text.find("://");
        if (scheme == text.npos) return result + std::string(text);
        const std::size_t begin = scheme + 3;
        // The authority ends with the first of these; a password is percent-encoded where it has one of them.
        const std::size_t end = std::min(text.find_first_of("/?# \t\r\n\"'`<>", begin), text.size());
        const std::string_view authority = text.substr(begin, end - begin);
        const std::size_t at = authority.rfind('@');
        const std::size_t colon = authority.find(':');
        result += text.substr(0, begin);
        if (at != authority.npos && colon < at) {
            result += authority.substr(0, colon + 1);
            result += hidden;
            result += authority.substr(at);
        } else {
            result += authority;
        }
        text.remove_prefix(end);
    }
}

std::string redact_line(std::string_view line) {
    const std::size_t key = line.find("env");
    const std::size_t equals = key == line.npos ? line.npos : line.find('=', key);
    const bool is_env = equals != line.npos &&
                        line.substr(0, key).find_first_not_of(" \t\"'{,") == line.npos &&
                        (equals == key + 3 || std::string_view(" \t\"'.").contains(line[key + 3]));
    if (is_env) return std::string(line.substr(0, equals + 1)) + " " + std::string(hidden);
    return redact_urls(line);
}

}  // namespace havn::manifest
