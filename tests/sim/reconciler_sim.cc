// Control's reconciler and its components between clients in a hurry, a supervisor that accepts, refuses, is
// late or silent, gateway and broker that die and refuse, a disk that is full or forgets, and control's own
// death at any step. What is told about it stands in reconciler_world.h.
#include <gtest/gtest.h>

#include "sim/reconciler_world.h"
#include "sim/seeds.h"

namespace havn::control {
namespace {

// What must hold once everything has calmed down: all hold what was accepted last, and everybody has an
// answer.
void expect_agreement(ReconcilerWorld& world) {
    EXPECT_TRUE(world.idle());
    EXPECT_EQ(world.unanswered(), 0u) << "who asked a control that lives is answered";
    if (!world.in_force()) return;
    EXPECT_EQ(world.supervisor_holds(), world.in_force()) << "the supervisor runs what is in force";
    EXPECT_EQ(world.store_holds(), world.in_force()) << "a restart would read what is in force";
    EXPECT_EQ(world.component_holds("gateway"), world.gateway_in_force());
    EXPECT_EQ(world.component_holds("broker"), world.broker_in_force());
}

TEST(Reconciler, all_hold_what_was_accepted_last_after_any_trouble) {
    sim::for_seeds(100, [](std::uint64_t seed) {
        ReconcilerWorld world(seed, {});
        world.run();
        expect_agreement(world);
    });
}

TEST(Reconciler, nothing_accepted_is_lost_by_a_death_of_control_or_a_power_cut) {
    sim::for_seeds(100, [](std::uint64_t seed) {
        ReconcilerWorld world(seed, {.crashes = true});
        world.run();
        expect_agreement(world);
    });
}

TEST(Reconciler, a_full_disk_refuses_changes_and_breaks_none) {
    sim::for_seeds(50, [](std::uint64_t seed) {
        ReconcilerWorld world(seed, {.crashes = true, .full_disk = true});
        world.run();
        expect_agreement(world);
    });
}

}  // namespace
}  // namespace havn::control
