// One line on standard error per event: "2026-01-31T12:00:00.123Z broker warning: text".
// The supervisor captures and rotates it. Never on a path that runs per request or per message.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string_view>

namespace havn::log {

enum class Level { debug, info, warning, error };

std::optional<Level> parse_level(std::string_view text);  // "debug", "info", "warning" or "error"

// Names this process in its lines; call once, at the start. Lines below the level that HAVN_LOG names are
// left out; info when it is not set, or names none, which is said.
void init(std::string_view process);
bool wanted(Level level);  // by that threshold
void write(Level level, std::string_view text);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace havn::log
