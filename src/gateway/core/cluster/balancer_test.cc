#include "gateway/core/cluster/balancer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace havn::gateway {
namespace {

class BalancerTest : public testing::Test {
  protected:
    void make(const std::vector<std::uint32_t>& weights) {
        own.assign(weights.size(), Candidate{});
        for (std::size_t i = 0; i < weights.size(); ++i) {
            own[i].id = i + 1;
            own[i].weight = weights[i];
            candidates.push_back(&own[i]);
        }
    }
    // "a", "b", …; "-" when there is none.
    std::string next(Balance balance = Balance::round_robin, std::vector<std::uint64_t> tried = {}) {
        Candidate* const candidate = pick(candidates, tried, balance, rule, now);
        return candidate ? std::string(1, static_cast<char>('a' + (candidate - own.data()))) : "-";
    }
    std::string turns(int count) {
        std::string all;
        for (int i = 0; i < count; ++i) all += next();
        return all;
    }

    std::vector<Candidate> own;
    std::vector<Candidate*> candidates;
    HealthRule rule{3, seconds(10)};
    Time now{seconds(100)};
};

TEST_F(BalancerTest, weights_are_spread_evenly) {
    make({5, 1, 1});
    EXPECT_EQ(turns(14), "aabacaaaabacaa");
}

TEST_F(BalancerTest, least_connections_is_by_weight_and_ties_take_turns) {
    make({1, 1, 2});
    own[0].in_flight = 1;
    own[1].in_flight = 2;
    own[2].in_flight = 3;
    EXPECT_EQ(next(Balance::least_connections), "a");
    own[0].in_flight = 2;
    EXPECT_EQ(next(Balance::least_connections), "c");
    own[0].in_flight = own[1].in_flight = 0;
    EXPECT_NE(next(Balance::least_connections), next(Balance::least_connections));
}

TEST_F(BalancerTest, an_endpoint_that_fails_often_enough_rests_and_then_has_one_trial) {
    make({1, 1});
    for (int i = 0; i < 3; ++i) note_failure(own[0], rule, now + seconds(i));
    now += seconds(3);
    EXPECT_EQ(turns(4), "bbbb");
    now += seconds(10);
    const std::string during_trial = turns(6);
    EXPECT_EQ(std::ranges::count(during_trial, 'a'), 1) << during_trial;
    note_success(own[0]);
    EXPECT_EQ(std::ranges::count(turns(6), 'a'), 3);
}

TEST_F(BalancerTest, a_failed_trial_means_another_rest) {
    make({1, 1});
    for (int i = 0; i < 3; ++i) note_failure(own[0], rule, now);
    now += seconds(11);
    while (next() != "a") {
    }
    note_failure(own[0], rule, now);
    now += seconds(9);
    EXPECT_EQ(turns(4), "bbbb");
}

TEST_F(BalancerTest, failures_far_apart_are_forgiven) {
    make({1, 1});
    for (int i = 0; i < 6; ++i) note_failure(own[0], rule, now += seconds(6));
    EXPECT_EQ(std::ranges::count(turns(4), 'a'), 2);
}

TEST_F(BalancerTest, max_fails_0_never_sets_aside) {
    make({1, 1});
    rule.max_fails = 0;
    for (int i = 0; i < 100; ++i) note_failure(own[0], rule, now);
    EXPECT_EQ(std::ranges::count(turns(4), 'a'), 2);
}

TEST_F(BalancerTest, when_all_rest_the_first_to_come_back_is_tried) {
    make({1, 1});
    for (int i = 0; i < 3; ++i) note_failure(own[1], rule, now);
    for (int i = 0; i < 3; ++i) note_failure(own[0], rule, now + seconds(1));
    now += seconds(2);
    EXPECT_EQ(next(), "b");
    EXPECT_EQ(next(Balance::least_connections, {own[1].id}), "a");
}

TEST_F(BalancerTest, nobody_is_tried_twice_for_one_request) {
    make({1, 1});
    EXPECT_EQ(next(Balance::round_robin, {own[0].id}), "b");
    EXPECT_EQ(next(Balance::round_robin, {own[0].id, own[1].id}), "-");
}

}  // namespace
}  // namespace havn::gateway
