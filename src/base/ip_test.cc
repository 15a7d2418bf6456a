#include "base/ip.h"

#include <gtest/gtest.h>

namespace havn {
namespace {

TEST(Networks, contain_addresses_by_prefix) {
    const auto in = [](const char* network, const char* address) {
        return contains(parse_network(network).value(), parse_ip(address).value());
    };
    EXPECT_TRUE(in("10.0.0.0/8", "10.255.1.2"));
    EXPECT_FALSE(in("10.0.0.0/8", "11.0.0.0"));
    EXPECT_TRUE(in("10.1.2.128/25", "10.1.2.200"));
    EXPECT_FALSE(in("10.1.2.128/25", "10.1.2.127"));
    EXPECT_TRUE(in("127.0.0.1", "127.0.0.1"));
    EXPECT_FALSE(in("127.0.0.1", "127.0.0.2"));
    EXPECT_TRUE(in("0.0.0.0/0", "1.2.3.4"));
    EXPECT_FALSE(in("0.0.0.0/0", "::1"));
    EXPECT_TRUE(in("fd00::/8", "fd12::1"));
    EXPECT_TRUE(in("10.0.0.0/8", "::ffff:10.0.0.1"));
}

TEST(Networks, what_is_none_is_refused) {
    for (const char* text : {"", "10/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "a.b.c.d"}) {
        EXPECT_FALSE(parse_network(text).has_value()) << text;
    }
}

}  // namespace
}  // namespace havn
