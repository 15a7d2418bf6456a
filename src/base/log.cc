#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cstdlib>
#include <string>

namespace havn::log {

namespace {

constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warning", "error"};
constexpr std::array<spdlog::level::level_enum, 4> levels{spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err};

}  // namespace

std::optional<Level> parse_level(std::string_view text) {
    for (std::size_t i = 0; i < level_names.size(); ++i) {
        if (level_names[i] == text) return static_cast<Level>(i);
    }
    return std::nullopt;
}

void init(std::string_view process) {
    auto logger = spdlog::stderr_logger_mt(std::string(process));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %n %l: %v", spdlog::pattern_time_type::utc);
    const char* const named = std::getenv("HAVN_LOG");
    const std::optional<Level> level = parse_level(named && *named ? named : "info");
    logger->set_level(levels[static_cast<std::size_t>(level.value_or(Level::info))]);
    spdlog::set_default_logger(std::move(logger));
    if (!level) warning("HAVN_LOG is '{}': not debug, info, warning or error; taken for info", named);
}

bool wanted(Level level) {
    return spdlog::should_log(levels[static_cast<std::size_t>(level)]);
}

void write(Level level, std::string_view text) {
    spdlog::log(levels[static_cast<std::size_t>(level)], text);
}

}  // namespace havn::log
