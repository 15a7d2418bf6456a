#include "base/text/units.h"

#include <gtest/gtest.h>

#include <vector>

namespace havn {
namespace {

TEST(Units, a_duration_is_whole_numbers_with_units_largest_first) {
    EXPECT_EQ(parse_duration("50ms").value(), milliseconds(50));
    EXPECT_EQ(parse_duration("5s").value(), milliseconds(5'000));
    EXPECT_EQ(parse_duration("1m30s").value(), milliseconds(90'000));
    EXPECT_EQ(parse_duration("2h").value(), milliseconds(7'200'000));
    EXPECT_EQ(parse_duration("1d2h3m4s5ms").value(), milliseconds(93'784'005));
    EXPECT_EQ(parse_duration("0s").value(), milliseconds(0));
    EXPECT_EQ(parse_duration("9007199254740992ms").value(), milliseconds(1ll << 53));
}

TEST(Units, what_is_no_duration_is_refused_with_an_example) {
    for (const auto* text : {"", "5", "s", "-5s", "+5s", "1.5s", "5 s", " 5s", "5s ", "30s1m", "1s1s", "5min",
                             "9007199254740993ms", "99999999999999999999s", "104249991375d", "5S"}) {
        const auto result = parse_duration(text);
        ASSERT_FALSE(result.has_value()) << text;
        EXPECT_EQ(result.error().message, "\"" + std::string(text) + "\" is not a duration");
        EXPECT_NE(result.error().remedy.find("\"1m30s\""), std::string::npos);
    }
}

TEST(Units, a_size_is_a_whole_number_with_one_unit_of_1024_each) {
    EXPECT_EQ(parse_size("1000B").value(), 1000u);
    EXPECT_EQ(parse_size("64K").value(), 64u << 10);
    EXPECT_EQ(parse_size("256M").value(), 256u << 20);
    EXPECT_EQ(parse_size("512mb").value(), 512u << 20);
    EXPECT_EQ(parse_size("1GiB").value(), 1u << 30);
    EXPECT_EQ(parse_size("2T").value(), 2ull << 40);
    EXPECT_EQ(parse_size("9223372036854775807B").value(), 9223372036854775807ull);
}

TEST(Units, what_is_no_size_is_refused_with_an_example) {
    for (const auto* text : {"", "512", "M", "-1M", "1.5G", "1 G", "1GG", "1G512M", "1BB", "1X", "8388608T",
                             "9223372036854775808B", "99999999999999999999B", "1iB"}) {
        const auto result = parse_size(text);
        ASSERT_FALSE(result.has_value()) << text;
        EXPECT_EQ(result.error().message, "\"" + std::string(text) + "\" is not a size");
        EXPECT_NE(result.error().remedy.find("\"256M\""), std::string::npos);
    }
}

TEST(Units, what_is_formatted_parses_back) {
    for (const std::int64_t ms : {0ll, 1ll, 999ll, 1'000ll, 1'500ll, 90'000ll, 86'400'001ll, 1ll << 53}) {
        EXPECT_EQ(parse_duration(format_duration(milliseconds(ms))).value(), milliseconds(ms));
    }
    for (const std::uint64_t bytes : {0ull, 1ull, 1'023ull, 1'024ull, 1'536ull, 50ull << 20, 3ull << 40}) {
        EXPECT_EQ(parse_size(format_size(bytes)).value(), bytes);
    }
    EXPECT_EQ(format_duration(milliseconds(90'000)), "1m30s");
    EXPECT_EQ(format_size(256u << 20), "256M");
    EXPECT_EQ(format_size(1'536), "1536B");
}

}  // namespace
}  // namespace havn
