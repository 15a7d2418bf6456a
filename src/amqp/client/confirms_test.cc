#include "amqp/client/confirms.h"

#include <gtest/gtest.h>

#include <map>

namespace havn::amqp::client {
namespace {

TEST(Confirms, gives_each_context_back_once) {
    Confirms confirms;
    EXPECT_EQ(confirms.push(70), 1u);
    EXPECT_EQ(confirms.push(80), 2u);
    EXPECT_EQ(confirms.take(2), 80u);
    EXPECT_FALSE(confirms.take(2));
    EXPECT_FALSE(confirms.take(0));
    EXPECT_FALSE(confirms.take(3));
    EXPECT_FALSE(confirms.take(UINT64_MAX));
    EXPECT_EQ(confirms.take(1), 70u);
    EXPECT_EQ(confirms.count(), 0u);
    EXPECT_EQ(confirms.first(), confirms.end());
}

TEST(Confirms, follows_a_plain_map_whatever_the_order) {
    Confirms confirms;
    std::map<std::uint64_t, std::uint64_t> model;
    std::uint64_t state = 1;
    const auto random = [&state](std::uint64_t below) {
        state = state * 6'364'136'223'846'793'005u + 1'442'695'040'888'963'407u;
        return (state >> 33) % below;
    };
    for (int round = 0; round < 100'000; ++round) {
        if (random(100) < 52) {
            const std::uint64_t context = random(1'000'000);
            model[confirms.push(context)] = context;
        } else {
            const std::uint64_t number = confirms.first() + random(confirms.span() + 2);
            const auto found = model.find(number);
            const std::optional<std::uint64_t> taken = confirms.take(number);
            ASSERT_EQ(taken.has_value(), found != model.end());
            if (taken) {
                ASSERT_EQ(*taken, found->second);
                model.erase(found);
            }
        }
        ASSERT_EQ(confirms.count(), model.size());
        ASSERT_EQ(confirms.first(), model.empty() ? confirms.end() : model.begin()->first);
    }
}

TEST(Confirms, begins_anew_at_one) {
    Confirms confirms;
    confirms.push(1);
    confirms.restart();
    EXPECT_FALSE(confirms.take(1));
    EXPECT_EQ(confirms.push(5), 1u);
    EXPECT_EQ(confirms.take(1), 5u);
}

}  // namespace
}  // namespace havn::amqp::client
