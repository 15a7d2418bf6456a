#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <string>

namespace havn::log {

void init(std::string_view process) {
    auto logger = spdlog::stderr_logger_mt(std::string(process));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %n %l: %v", spdlog::pattern_time_type::utc);
    const char* level = std::getenv("HAVN_LOG");
    logger->set_level(level && std::string_view(level) == "debug" ? spdlog::level::debug
                                                                  : spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

void write(Level level, std::string_view text) {
    constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info,
                                                    spdlog::level::warn, spdlog::level::err};
    spdlog::log(levels[static_cast<int>(level)], text);
}

}  // namespace havn::log
