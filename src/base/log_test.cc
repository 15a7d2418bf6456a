#include "base/log.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace havn::log {
namespace {

// What a process that starts with this HAVN_LOG writes of one line per level.
std::string written(const char* level) {
    static int number = 0;
    level ? ::setenv("HAVN_LOG", level, 1) : ::unsetenv("HAVN_LOG");
    testing::internal::CaptureStderr();
    init("part" + std::to_string(number++));
    debug("{}", "D");
    info("{}", "I");
    warning("{}", "W");
    error("{}", "E");
    std::string lines;
    const std::string text = testing::internal::GetCapturedStderr();
    if (text.contains("HAVN_LOG is '")) lines += '?';
    for (const char line : std::string("DIWE")) {
        if (text.contains(std::string(": ") + line + "\n")) lines += line;
    }
    return lines;
}

TEST(Log, havn_log_names_the_least_level_that_is_written) {
    EXPECT_EQ(written(nullptr), "IWE");
    EXPECT_EQ(written(""), "IWE");
    EXPECT_EQ(written("debug"), "DIWE");
    EXPECT_EQ(written("info"), "IWE");
    EXPECT_EQ(written("warning"), "WE");
    EXPECT_TRUE(wanted(Level::warning) && !wanted(Level::info));
    EXPECT_EQ(written("error"), "E");
}

TEST(Log, a_level_that_is_none_is_said) {
    EXPECT_EQ(written("warn"), "?IWE");
    EXPECT_EQ(written("DEBUG"), "?IWE");
}

}  // namespace
}  // namespace havn::log
