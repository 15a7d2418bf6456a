#include "base/text/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace havn {
namespace {

using namespace std::string_literals;

TEST(Utf8, characters_of_each_length_are_known) {
    for (const std::string& good : {""s, "a"s, "\0"s, "\xc3\xa9"s, "\xe2\x82\xac"s, "\xed\x9f\xbf"s,
                                    "\xf0\x9f\x98\x80"s, "\xf4\x8f\xbf\xbf"s, "a\xc3\xa9z"s}) {
        EXPECT_TRUE(is_utf8(good)) << good;
    }
    EXPECT_EQ(utf8_size("\xe2\x82\xac!"), 3u);
}

TEST(Utf8, what_is_overlong_cut_or_beyond_unicode_is_not) {
    for (const std::string& bad :
         {"\x80"s, "\xc3"s, "\xc0\x80"s, "\xc1\xbf"s, "\xe0\x9f\xbf"s, "\xe2\x82"s, "\xed\xa0\x80"s,
          "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xff"s, "\xc3("s}) {
        EXPECT_FALSE(is_utf8(bad));
        EXPECT_EQ(utf8_size(bad), 0u);
    }
}

}  // namespace
}  // namespace havn
