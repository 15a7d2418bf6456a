#include "manifest/syntax/amqp_url.h"

#include <gtest/gtest.h>

namespace havn::manifest {
namespace {

TEST(AmqpUrl, takes_its_parts_or_what_they_default_to) {
    EXPECT_EQ(parse_amqp_url("amqp://10.0.0.5").value(), (AmqpUrl{"10.0.0.5", 5672, "guest", "guest", "/"}));
    EXPECT_EQ(parse_amqp_url("amqp://10.0.0.5/").value(), (AmqpUrl{"10.0.0.5", 5672, "guest", "guest", "/"}));
    EXPECT_EQ(parse_amqp_url("amqp://shop:se%40cret@10.0.0.5:5673/%2Fprod").value(),
              (AmqpUrl{"10.0.0.5", 5673, "shop", "se@cret", "/prod"}));
    EXPECT_EQ(parse_amqp_url("amqp://shop@[::1]:5672/v").value(), (AmqpUrl{"[::1]", 5672, "shop", "", "v"}));
}

TEST(AmqpUrl, says_which_part_is_wrong) {
    const auto refused = [](std::string_view text) {
        const auto result = parse_amqp_url(text);
        return result ? std::string("accepted") : result.error().message;
    };
    EXPECT_EQ(refused("amqps://rabbit"),
              "amqps:// needs TLS, which the gateway of this version does not speak");
    EXPECT_EQ(refused("http://rabbit"), "not an AMQP address: it must begin with amqp://");
    EXPECT_EQ(refused("amqp://"), "not an AMQP address: it has no host");
    EXPECT_EQ(refused("amqp://rabbit.example:5672"),
              "not an AMQP address: the host must be an IP address or localhost, not a name");
    EXPECT_EQ(refused("amqp://a b"), "not an AMQP address: it has no host");
    EXPECT_EQ(refused("amqp://[::1"), "not an AMQP address: [ without ]");
    EXPECT_EQ(refused("amqp://10.0.0.5:0"), "not an AMQP address: the port must be a number from 1 to 65535");
    EXPECT_EQ(refused("amqp://10.0.0.5:5672x"),
              "not an AMQP address: the port must be a number from 1 to 65535");
    EXPECT_EQ(refused("amqp://10.0.0.5:65536"),
              "not an AMQP address: the port must be a number from 1 to 65535");
    EXPECT_EQ(refused("amqp://u%4:p@10.0.0.5"),
              "not an AMQP address: the part before @ must be USER:PASSWORD, percent-encoded");
    EXPECT_EQ(refused("amqp://:p@10.0.0.5"),
              "not an AMQP address: the part before @ must be USER:PASSWORD, percent-encoded");
    EXPECT_EQ(refused("amqp://10.0.0.5//"), "not an AMQP address: write the vhost / as %2F, or leave it out");
    EXPECT_EQ(refused("amqp://10.0.0.5/v?heartbeat=5"),
              "not an AMQP address: write the vhost / as %2F, or leave it out");
}

}  // namespace
}  // namespace havn::manifest
