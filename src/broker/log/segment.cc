#include "broker/log/segment.h"

#include <fmt/format.h>

#include <charconv>

namespace havn::broker {

std::string SegmentName::file() const {
    return fmt::format("{:010}-{:08x}.log", number, salt);
}

std::optional<SegmentName> SegmentName::parse(std::string_view file) {
    SegmentName name;
    if (file.size() != 23) return std::nullopt;
    const char* at = file.data();
    const bool read = std::from_chars(at, at + 10, name.number).ec == std::errc{} &&
                      std::from_chars(at + 11, at + 19, name.salt, 16).ec == std::errc{};
    if (!read || name.number == 0 || name.file() != file) return std::nullopt;
    return name;
}

}  // namespace havn::broker
