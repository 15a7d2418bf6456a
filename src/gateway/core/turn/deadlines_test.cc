#include "gateway/core/turn/deadlines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace havn::gateway {
namespace {

class DeadlinesTest : public testing::Test {
  protected:
    struct Named : Deadlines::Entry {
        explicit Named(int number) : number(number) {}
        int number;
    };
    std::vector<int> advance(milliseconds to) {
        std::vector<int> fired;
        deadlines.advance(
            start + to, [&](Deadlines::Entry& entry) { fired.push_back(static_cast<Named&>(entry).number); });
        return fired;
    }

    Time start{seconds(1000)};
    Deadlines deadlines{start};
};

TEST_F(DeadlinesTest, each_fires_at_its_time_and_not_before) {
    for (const int ms : {1, 2, 255, 256, 257, 1000, 65'535, 65'536, 65'537, 75'000, 3'600'000, 20'000'000}) {
        Named entry(ms);
        const Time now = start + milliseconds(0);
        Deadlines fresh(now);
        fresh.set(entry, now + milliseconds(ms));
        int fired = 0;
        fresh.advance(now + milliseconds(ms - 1), [&](Deadlines::Entry&) { ++fired; });
        EXPECT_EQ(fired, 0) << ms;
        fresh.advance(now + milliseconds(ms), [&](Deadlines::Entry&) { ++fired; });
        EXPECT_EQ(fired, 1) << ms;
        EXPECT_FALSE(entry.is_set());
    }
}

TEST_F(DeadlinesTest, parts_of_a_millisecond_are_rounded_up) {
    Named entry(1);
    deadlines.set(entry, start + microseconds(1500));
    EXPECT_TRUE(advance(milliseconds(1)).empty());
    EXPECT_EQ(advance(milliseconds(2)).size(), 1u);
}

TEST_F(DeadlinesTest, a_cleared_or_moved_one_does_not_fire) {
    Named cleared(1), moved(2);
    deadlines.set(cleared, start + milliseconds(5));
    deadlines.set(moved, start + milliseconds(5));
    deadlines.clear(cleared);
    deadlines.clear(cleared);
    deadlines.set(moved, start + milliseconds(500));
    EXPECT_TRUE(advance(milliseconds(499)).empty());
    EXPECT_EQ(advance(milliseconds(500)), std::vector<int>{2});
}

TEST_F(DeadlinesTest, one_that_is_past_fires_at_the_next_turn) {
    advance(milliseconds(100));
    Named entry(1);
    deadlines.set(entry, start);
    EXPECT_EQ(advance(milliseconds(101)).size(), 1u);
}

TEST_F(DeadlinesTest, the_wait_is_never_longer_than_the_next_deadline) {
    EXPECT_EQ(deadlines.wait(start), Deadlines::never);
    Named entry(1);
    deadlines.set(entry, start + milliseconds(40));
    EXPECT_EQ(deadlines.wait(start), milliseconds(40));
    EXPECT_EQ(deadlines.wait(start + microseconds(39'500)), milliseconds(1));
    EXPECT_EQ(deadlines.wait(start + milliseconds(50)), milliseconds(0));
}

TEST_F(DeadlinesTest, agrees_with_a_sorted_map_over_random_use) {
    std::mt19937 random(7);
    std::vector<std::unique_ptr<Named>> entries;
    for (int i = 0; i < 300; ++i) entries.push_back(std::make_unique<Named>(i));
    std::map<int, int> due;  // number -> ms
    int now = 0;
    for (int round = 0; round < 5000; ++round) {
        const int number = static_cast<int>(random() % entries.size());
        if (random() % 4 == 0) {
            deadlines.clear(*entries[static_cast<std::size_t>(number)]);
            due.erase(number);
        } else {
            const int spans[] = {3, 300, 70'000, 1'000'000};
            const int at = now + 1 + static_cast<int>(random() % static_cast<unsigned>(spans[random() % 4]));
            deadlines.set(*entries[static_cast<std::size_t>(number)], start + milliseconds(at));
            due[number] = at;
        }
        now += static_cast<int>(random() % (round % 100 == 0 ? 40'000 : 30));
        std::vector<int> expected;
        for (const auto& [entry, at] : due) {
            if (at <= now) expected.push_back(entry);
        }
        for (const int entry : expected) due.erase(entry);
        std::vector<int> fired = advance(milliseconds(now));
        std::ranges::sort(fired);
        ASSERT_EQ(fired, expected) << "at " << now;
    }
}

}  // namespace
}  // namespace havn::gateway
