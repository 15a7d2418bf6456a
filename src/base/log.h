// One line on standard error per event: "2026-01-31T12:00:00.123Z broker warning: text".
// The supervisor captures and rotates it. Never on a path that runs per request or per message.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace havn::log {

enum class Level { debug, info, warning, error };

// Names this process in its lines; call once, at the start. HAVN_LOG=debug lowers the threshold.
void init(std::string_view process);
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
