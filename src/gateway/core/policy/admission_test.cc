#include "gateway/core/policy/admission.h"

#include <gtest/gtest.h>

#include <deque>
#include <thread>
#include <vector>

namespace havn::gateway {
namespace {

IpAddress ip(const char* text) {
    return parse_ip(text).value();
}

struct Door : testing::Test {
    Admission admission;
    std::deque<Admission::Place> inside;

    // Connections of `address` until one is refused, or `most`.
    int let_in(const char* address, int most) {
        for (int i = 0; i < most; ++i) {
            Admission::Place place = admission.reserve();
            if (!place || !admission.settle(place, ip(address))) return i;
            inside.push_back(std::move(place));
        }
        return most;
    }
};

TEST_F(Door, takes_as_many_as_it_is_told) {
    admission.set_limits({.connections = 100, .per_address = 1000, .descriptors = 10'000});
    EXPECT_EQ(let_in("192.0.2.1", 200), 100);
    EXPECT_TRUE(admission.full());
    inside.pop_back();
    EXPECT_FALSE(admission.full());
    EXPECT_EQ(let_in("192.0.2.1", 200), 1);
    inside.clear();
    EXPECT_EQ(admission.connections(), 0u);
}

TEST_F(Door, leaves_descriptors_for_what_must_not_fail) {
    admission.set_limits({.connections = 20'000, .per_address = 20'000, .descriptors = 1024});
    const int most = let_in("192.0.2.1", 20'000);
    EXPECT_EQ(static_cast<std::uint64_t>(most), admission.connections_max());
    EXPECT_LE(most, 900);
    EXPECT_GE(most, 800);
}

TEST_F(Door, counts_upstreams_and_services_as_descriptors) {
    admission.set_limits({.connections = 20'000, .per_address = 20'000, .descriptors = 1024});
    std::deque<Admission::Place> others;
    for (int i = 0; i < 600; ++i) others.push_back(admission.inside());
    EXPECT_LT(let_in("192.0.2.1", 20'000), 300);
    for (int i = 0; i < 600; ++i) others.push_back(admission.inside());  // those are never refused
    EXPECT_TRUE(others.back());
    others.clear();
    EXPECT_GT(let_in("192.0.2.1", 20'000), 500);
}

TEST_F(Door, lets_one_address_have_its_part) {
    admission.set_limits({.connections = 100, .per_address = 10, .descriptors = 10'000});
    EXPECT_EQ(let_in("192.0.2.1", 100), 10);
    EXPECT_EQ(let_in("192.0.2.2", 100), 10);
    EXPECT_EQ(admission.connections(), 20u);  // the refused ones gave their places back
    inside.pop_front();
    EXPECT_EQ(let_in("192.0.2.1", 100), 1);
}

TEST_F(Door, takes_a_64_of_ipv6_for_one_address) {
    admission.set_limits({.connections = 100, .per_address = 10, .descriptors = 10'000});
    EXPECT_EQ(let_in("2001:db8:1:1::1", 5), 5);
    EXPECT_EQ(let_in("2001:db8:1:1:ffff::2", 100), 5);
    EXPECT_EQ(let_in("2001:db8:1:2::1", 100), 10);
    EXPECT_EQ(let_in("::1", 100), 10);
}

TEST_F(Door, gives_an_address_a_quarter_when_nothing_is_set) {
    admission.set_limits({.connections = 20'000, .per_address = 0, .descriptors = 1 << 20});
    EXPECT_EQ(admission.per_address_max(), 5'000u);
    admission.set_limits({.connections = 100, .per_address = 0, .descriptors = 1 << 20});
    EXPECT_EQ(admission.per_address_max(), 100u);
}

TEST_F(Door, counts_across_threads) {
    admission.set_limits({.connections = 1000, .per_address = 300, .descriptors = 10'000});
    std::atomic<int> most{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (int round = 0; round < 2000; ++round) {
                    std::vector<Admission::Place> places;
                    for (int n = 0; n < 100; ++n) {
                        Admission::Place place = admission.reserve();
                        if (place && admission.settle(place, ip("192.0.2.1"))) {
                            places.push_back(std::move(place));
                        }
                    }
                    most = std::max(most.load(), static_cast<int>(admission.connections()));
                }
            });
        }
    }
    EXPECT_EQ(admission.connections(), 0u);
    EXPECT_LE(most, 304);  // those that are just being refused included
    EXPECT_EQ(let_in("192.0.2.1", 1000), 300);
}

}  // namespace
}  // namespace havn::gateway
