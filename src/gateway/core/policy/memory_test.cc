#include "gateway/core/policy/memory.h"

#include <gtest/gtest.h>

#include <deque>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace havn::gateway {
namespace {

std::uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t size = 0, resident = 0;
    file >> size >> resident;
    return resident * 4096;
}

TEST(memory, a_body_is_whole_however_it_grew) {
    MemoryBudget budget(8u << 20);
    MemoryShare share(budget);
    HeldBytes bytes(share);
    std::string expected;
    for (int i = 0; i < 3000; ++i) {
        const std::string piece(static_cast<std::size_t>(i % 997), static_cast<char>('a' + i % 26));
        ASSERT_TRUE(bytes.append(piece));
        expected += piece;
    }
    EXPECT_EQ(bytes.view(), expected);
    HeldBytes moved = bytes.take();
    EXPECT_EQ(moved.view(), expected);
    EXPECT_EQ(bytes.size(), 0u);
    ASSERT_TRUE(bytes.append("again"));
    EXPECT_EQ(bytes.view(), "again");
}

TEST(memory, what_does_not_fit_is_refused_and_leaves_the_rest_as_it_was) {
    MemoryBudget budget(1u << 20);
    MemoryShare share(budget);
    const std::string piece(100'000, 'x');
    HeldBytes bytes(share);
    int taken = 0;
    while (bytes.append(piece)) ASSERT_LT(++taken, 11);
    EXPECT_GE(taken, 7);
    EXPECT_EQ(bytes.size(), static_cast<std::size_t>(taken) * piece.size());
    EXPECT_LE(budget.used(), budget.limit());
    bytes.release();
    EXPECT_LE(budget.used(), MemoryShare::step_bytes);
}

TEST(memory, small_bodies_still_fit_when_large_ones_do_not) {
    MemoryBudget budget(2u << 20);
    MemoryShare share(budget);
    std::deque<HeldBytes> held;
    for (;;) {
        held.emplace_back(share);
        if (!held.back().append(std::string(65536, 'x'))) break;
    }
    HeldBytes small(share);
    EXPECT_TRUE(small.append(std::string(2000, 'y')));
    EXPECT_FALSE(share.has_room(100'000, true));
    EXPECT_TRUE(share.has_room(100'000, false));
    held.clear();
    EXPECT_TRUE(share.has_room(1u << 20, true));
}

TEST(memory, large_bodies_that_are_barely_begun_leave_the_room_for_small_ones) {
    for (const std::uint64_t expected : {std::uint64_t{1u << 20}, std::uint64_t{UINT64_MAX}}) {
        MemoryBudget budget(2u << 20);
        MemoryShare share(budget);
        std::deque<HeldBytes> held;
        for (;;) {
            held.emplace_back(share);
            held.back().expect(expected);
            if (!held.back().append(std::string(20'000, 'x'))) break;
        }
        EXPECT_GT(held.size(), 60u);
        for (int i = 0; i < 100; ++i) {
            held.emplace_back(share);
            EXPECT_TRUE(held.back().append(std::string(2000, 'y')));
        }
    }
}

TEST(memory, what_is_kept_along_counts_until_the_release) {
    MemoryBudget budget(1u << 20);
    MemoryShare share(budget);
    HeldBytes bytes(share);
    EXPECT_TRUE(bytes.take_beside(700'000));
    EXPECT_FALSE(bytes.take_beside(700'000));
    bytes.release();
    EXPECT_TRUE(bytes.take_beside(700'000));
}

TEST(memory, released_pages_are_the_systems_again_at_once) {
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    GTEST_SKIP() << "a sanitizer keeps what is freed";
#endif
    MemoryBudget budget(256u << 20);
    MemoryShare share(budget);
    const std::uint64_t before = resident_bytes();
    std::deque<HeldBytes> held;
    for (int i = 0; i < 30; ++i) {
        held.emplace_back(share);
        for (int n = 0; n < 64; ++n) ASSERT_TRUE(held.back().append(std::string(32768, 'x')));
    }
    EXPECT_GT(resident_bytes(), before + (48u << 20));
    held.clear();
    EXPECT_LT(resident_bytes(), before + (16u << 20));
    EXPECT_LE(budget.used(), MemoryShare::step_bytes);
}

TEST(memory, threads_share_one_limit) {
    MemoryBudget budget(4u << 20);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&budget] {
            MemoryShare share(budget);
            for (int n = 0; n < 20'000; ++n) {
                HeldBytes bytes(share);
                if (bytes.append(std::string(1 + static_cast<std::size_t>(n % 5000), 'x'))) {
                    EXPECT_LE(budget.used(), budget.limit());
                }
            }
        });
    }
    threads.clear();
    EXPECT_EQ(budget.used(), 0u);
}

}  // namespace
}  // namespace havn::gateway
