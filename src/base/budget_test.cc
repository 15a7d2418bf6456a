#include "base/budget.h"

#include <gtest/gtest.h>

namespace havn {

TEST(Budget, takes_all_or_nothing) {
    Budget budget(100);
    EXPECT_TRUE(budget.try_take(60));
    EXPECT_FALSE(budget.try_take(41));
    EXPECT_EQ(budget.used(), 60u);
    EXPECT_TRUE(budget.try_take(40));
    EXPECT_EQ(budget.available(), 0u);
    budget.give_back(100);
    EXPECT_EQ(budget.used(), 0u);
}

TEST(Budget, a_huge_wish_does_not_wrap_around) {
    Budget budget(100);
    EXPECT_TRUE(budget.try_take(10));
    EXPECT_FALSE(budget.try_take(UINT64_MAX));
    EXPECT_EQ(budget.used(), 10u);
}

TEST(Budget, a_lowered_limit_refuses_until_enough_was_given_back) {
    Budget budget(100);
    budget.take(80);
    budget.set_limit(50);
    EXPECT_TRUE(budget.exceeded());
    EXPECT_EQ(budget.available(), 0u);
    EXPECT_FALSE(budget.try_take(1));
    budget.give_back(40);
    EXPECT_TRUE(budget.try_take(10));
}

TEST(Budget, a_share_gives_back_what_it_holds) {
    Budget budget(100);
    {
        Budget::Share first(budget);
        EXPECT_TRUE(first.try_grow(30));
        Budget::Share second(std::move(first));
        EXPECT_TRUE(second.try_grow(30));
        EXPECT_FALSE(second.try_grow(50));
        EXPECT_EQ(budget.used(), 60u);
        second.shrink(10);
        EXPECT_EQ(budget.used(), 50u);
    }
    EXPECT_EQ(budget.used(), 0u);
}

TEST(Budget, a_share_of_nothing_holds_nothing) {
    Budget::Share none;
    EXPECT_FALSE(none.try_grow(1));
    EXPECT_EQ(none.bytes(), 0u);
}

}  // namespace havn
