#include "supervisor/shell/listening_sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/net.h"

namespace havn::supervisor {
namespace {

struct ListeningSocketsTest : testing::Test {
    DescriptorStore store;
    Accounts accounts;
    ListeningSockets sockets{store, accounts};
    Desired desired;
    std::uint16_t next_port = 21'000;

    std::string free_address() {
        const std::uint16_t port = io::find_free_port(next_port).value();
        next_port = static_cast<std::uint16_t>(port + 1);
        return "127.0.0.1:" + std::to_string(port);
    }
    void SetUp() override { desired.gateway_threads = 2; }
};

TEST_F(ListeningSocketsTest, the_gateway_gets_one_socket_per_thread_and_the_broker_one) {
    const std::string edge = free_address(), amqp = free_address();
    desired.listeners = {{"edge", edge, "gateway"}, {"amqp", amqp, "broker"}};
    EXPECT_TRUE(sockets.change_to(desired).value());
    EXPECT_EQ(sockets.for_part("gateway")->sockets.size(), 2u);
    EXPECT_EQ(sockets.for_part("gateway")->listeners.entries[1],
              (link::Listener{"edge", edge, link::ListenerKind::tcp}));
    EXPECT_EQ(sockets.for_part("broker")->sockets.size(), 1u);
    EXPECT_FALSE(sockets.change_to(desired).value());  // the same again
    desired.embedded_broker = false;
    EXPECT_TRUE(sockets.change_to(desired).value());
    EXPECT_TRUE(sockets.for_part("broker")->sockets.empty());
    EXPECT_TRUE(io::listen_on(amqp, {}).has_value());  // closed
}

TEST_F(ListeningSocketsTest, a_taken_port_changes_nothing) {
    const std::string first = free_address();
    desired.listeners = {{"edge", first, "gateway"}};
    ASSERT_TRUE(sockets.change_to(desired).has_value());
    const std::string taken = free_address(), third = free_address();
    // Shared on purpose by its holder: even then it is not ours.
    Result<io::Fd> holder = io::listen_on(taken, {.reuse_port = true});
    ASSERT_TRUE(holder.has_value());
    desired.listeners = {{"edge", third, "gateway"}, {"edge", taken, "gateway"}};
    Result<bool> refused = sockets.change_to(desired);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, testing::HasSubstr(taken));
    EXPECT_EQ(sockets.for_part("gateway")->listeners.entries[0].address, first);
    EXPECT_TRUE(io::listen_on(third, {}).has_value());
}

TEST_F(ListeningSocketsTest, many_services_still_fit_one_message) {
    desired.gateway_threads = 16;
    desired.listeners = {{"edge", free_address(), "gateway"}};
    for (int i = 0; i < 20; ++i) {
        desired.listeners.push_back({"service:s" + std::to_string(i), free_address(), "gateway"});
    }
    ASSERT_TRUE(sockets.change_to(desired).has_value());
    EXPECT_LE(sockets.for_part("gateway")->sockets.size(), io::Link::descriptors_max);
    for (int i = 20; i < static_cast<int>(io::Link::descriptors_max); ++i) {
        desired.listeners.push_back({"service:s" + std::to_string(i), free_address(), "gateway"});
    }
    const Result<bool> refused = sockets.change_to(desired);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, Error::Kind::invalid);
}

TEST_F(ListeningSocketsTest, what_the_keeper_kept_is_used_again) {
    desired.listeners = {{"edge", free_address(), "gateway"}};
    ASSERT_TRUE(sockets.change_to(desired).has_value());
    ListeningSockets next(store, accounts);  // the next supervisor, with the same descriptors
    ASSERT_TRUE(next.change_to(desired).has_value());
    EXPECT_EQ(next.for_part("gateway")->sockets.size(), 2u);
}

}  // namespace
}  // namespace havn::supervisor
