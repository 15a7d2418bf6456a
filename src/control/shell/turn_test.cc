#include "control/shell/turn.h"

#include <gtest/gtest.h>

#include <vector>

#include "io/loop.h"

namespace havn::control {
namespace {

// Everybody asks at once; each notes that it has the turn, lets the others run, and gives it back.
io::Task<void> visit(Turn* turn, int number, std::vector<int>* order, int* inside, int* steps) {
    const bool ours = co_await turn->take();
    if (!ours) {
        order->push_back(-number);
        co_return;
    }
    EXPECT_EQ(++*inside, 1);
    order->push_back(number);
    for (int i = 0; i < 10; ++i) {
        ++*steps;
        [[maybe_unused]] const bool slept = co_await io::sleep_for(milliseconds(1));
    }
    --*inside;
    turn->give_back();
}

TEST(Turn, goes_round_in_the_order_of_asking_to_one_at_a_time) {
    io::Loop loop;
    Turn turn(loop.executor(), seconds(60));
    std::vector<int> order;
    int inside = 0, steps = 0;
    for (int number = 1; number <= 4; ++number) loop.spawn(visit(&turn, number, &order, &inside, &steps));
    loop.run();
    EXPECT_EQ(order, (std::vector{1, 2, 3, 4}));
    EXPECT_EQ(turn.waiting(), 0u);
}

// While several wait nothing happens on the loop but what the one inside does: waiting costs no turns.
TEST(Turn, waiting_for_it_does_not_keep_the_loop_busy) {
    io::Loop loop;
    Turn turn(loop.executor(), seconds(60));
    std::vector<int> order;
    int inside = 0, steps = 0;
    for (int number = 1; number <= 4; ++number) loop.spawn(visit(&turn, number, &order, &inside, &steps));
    const std::size_t handlers = loop.context().run();
    EXPECT_EQ(order.size(), 4u);
    EXPECT_LT(handlers, 200u);
}

TEST(Turn, whoever_waits_too_long_goes_without_and_the_next_is_not_skipped) {
    io::Loop loop;
    Turn turn(loop.executor(), milliseconds(1));
    std::vector<int> order;
    int inside = 0, steps = 0;
    loop.spawn(visit(&turn, 1, &order, &inside, &steps));
    loop.spawn(visit(&turn, 2, &order, &inside, &steps));
    loop.run();
    EXPECT_EQ(order, (std::vector{1, -2}));
    loop.context().restart();
    loop.spawn(visit(&turn, 3, &order, &inside, &steps));
    loop.run();
    EXPECT_EQ(order.back(), 3);
}

}  // namespace
}  // namespace havn::control
