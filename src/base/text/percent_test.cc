#include "base/text/percent.h"

#include <gtest/gtest.h>

namespace havn {
namespace {

TEST(Percent, escapes_what_is_not_unreserved) {
    EXPECT_EQ(percent_encode("Az09-._~"), "Az09-._~");
    EXPECT_EQ(percent_encode("a/b c%"), "a%2Fb%20c%25");
    EXPECT_EQ(percent_encode("\xc3\xa9"), "%C3%A9");
}

TEST(Percent, decodes_what_it_encoded) {
    std::string every;
    for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
    EXPECT_EQ(percent_decode(percent_encode(every)), every);
    EXPECT_TRUE(is_percent_encoded(percent_encode(every)));
}

TEST(Percent, leaves_what_is_no_escape_as_it_is) {
    for (const char* text : {"%", "%4", "%zz", "100%", "%%41x"}) {
        EXPECT_FALSE(is_percent_encoded(text)) << text;
    }
    EXPECT_EQ(percent_decode("%"), "%");
    EXPECT_EQ(percent_decode("%4"), "%4");
    EXPECT_EQ(percent_decode("%zz"), "%zz");
    EXPECT_EQ(percent_decode("%%41x"), "%Ax");
    EXPECT_EQ(percent_decode("%c3%A9"), "\xc3\xa9");
}

}  // namespace
}  // namespace havn
