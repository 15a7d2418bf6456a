// What an event costs, what is known about lives that ended, and what is held back.
#include "supervisor/core/fleet.h"

#include "supervisor/core/fleet_fixture.h"

namespace havn::supervisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(FleetTest, one_event_costs_the_same_however_many_instances_there_are) {
    add("web", Kind::service, 1'000);
    program("web").health = HealthCheck{};
    add("job", Kind::worker, 1'000);
    program("job").depends_on = {"web"};
    settle();
    advance(milliseconds(2'000));
    const auto cost = [this](auto event) {
        const std::uint64_t before = fleet.visits();
        event();
        return fleet.visits() - before;
    };
    EXPECT_LT(cost([&] { fleet.probed(all("web.500")[0]->id, true, "", now); }), 10u);
    EXPECT_LT(cost([&] { die("web.500"); }), 40u);
    EXPECT_LT(cost([&] { healthy("web.500"); }), 20u);
    EXPECT_LT(cost([&] { die("job.999"); }), 40u);
    EXPECT_LT(cost([&] { ASSERT_TRUE(fleet.restart("job", 7, now).has_value()); }), 20u);
    EXPECT_LT(cost([&] { die("job.7"); }), 40u);
    now.time += milliseconds(1);
    EXPECT_LT(cost([&] { fleet.tick(now); }), 10u);
    fleet.stop_all(now);
    perform();
    EXPECT_LT(cost([&] { die("job.1"); }), 40u);
}

TEST_F(FleetTest, a_thousand_starts_and_stops_cost_a_thousand_times_one) {
    add("job", Kind::worker, 1'000);
    settle();
    EXPECT_LT(fleet.visits(), 40'000u);
    fleet.stop_all(now);
    std::vector<UnitId> ids;
    for (const auto& [id, unit] : fleet.units()) ids.push_back(id);
    for (const UnitId id : ids) fleet.ended(id, "exit 0", "", now);
    for (const char* part : {"broker.1", "control.1"}) {
        if (!all(part).empty()) die(part);
    }
    perform();
    EXPECT_TRUE(finished);
    EXPECT_LT(fleet.visits(), 80'000u);
}

TEST_F(FleetTest, a_quarter_of_many_instances_is_replaced_at_a_time) {
    add("job", Kind::worker, 20);
    settle();
    ASSERT_TRUE(fleet.restart("job", 0, now).has_value());
    EXPECT_THAT(take_done(),
                ElementsAre("term job.1", "term job.2", "term job.3", "term job.4", "term job.5"));
    for (const char* job : {"job.1", "job.2", "job.3", "job.4", "job.5"}) die(job);
    EXPECT_EQ(take_done().size(), 5u);  // the replacements start; the next five wait until these are ready
    advance(milliseconds(1'000));
    EXPECT_THAT(take_done(),
                ElementsAre("term job.6", "term job.7", "term job.8", "term job.9", "term job.10"));
}

TEST_F(FleetTest, a_quarter_of_a_large_service_is_replaced_at_a_time_and_all_keep_serving) {
    add("web", Kind::service, 8);
    settle();
    program("web").environment["NEW"] = "1";
    apply();
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1", "spawn web.2"));
    EXPECT_EQ(endpoints("web").size(), 8u);
    healthy(*all("web.2")[1]);
    EXPECT_THAT(take_done(), ElementsAre("spawn web.3"));
    EXPECT_EQ(endpoints("web").size(), 8u);
}

TEST_F(FleetTest, an_apply_or_a_scale_leaves_the_pauses_of_what_fails_alone) {
    add("bad", Kind::worker);
    add("web", Kind::service);
    settle();
    for (int i = 0; i < 5; ++i) {
        die("bad.1");
        while (unit("bad.1").state != State::starting) advance(milliseconds(1'000));
    }
    die("bad.1");
    ASSERT_EQ(unit("bad.1").state, State::backoff);
    const UnitId id = unit("bad.1").id;
    const Time due = fleet.wake_at();
    take_done();
    apply();
    program("web").instances = 3;
    program("web").environment["NEW"] = "1";
    apply();
    EXPECT_EQ(unit("bad.1").id, id);
    EXPECT_EQ(unit("bad.1").state, State::backoff);
    EXPECT_LE(fleet.wake_at(), due);
    EXPECT_THAT(take_done(), testing::Not(testing::Contains("spawn bad.1")));
}

TEST_F(FleetTest, a_worker_that_dies_every_few_seconds_is_held_back_and_says_so) {
    add("job", Kind::worker);
    settle();
    for (int i = 0; i < 10; ++i) {
        advance(milliseconds(1'300));
        EXPECT_FALSE(unit("job.1").is_failing());
        die("job.1");
        EXPECT_EQ(unit("job.1").state, State::starting);
    }
    advance(milliseconds(1'300));
    ASSERT_EQ(unit("job.1").state, State::ready);
    die("job.1");
    EXPECT_EQ(unit("job.1").state, State::backoff);
    EXPECT_GT(unit("job.1").retry_at, now.wall);
    advance(milliseconds(1'000));
    advance(milliseconds(1'300));
    EXPECT_EQ(unit("job.1").state, State::ready);
    EXPECT_TRUE(unit("job.1").is_failing());
}

TEST_F(FleetTest, a_service_that_ends_before_it_is_ready_is_reported_with_its_end) {
    add("web", Kind::service);
    program("web").startretries = 0;
    apply();
    unhealthy("web.1");
    EXPECT_EQ(unit("web.1").error, "not ready yet: HTTP 500");
    fleet.ended(unit("web.1").id, {"exit 2", 2, {}}, "", now);
    perform();
    EXPECT_EQ(unit("web.1").state, State::backoff);
    EXPECT_EQ(unit("web.1").error, "");
    EXPECT_EQ(unit("web.1").reason, "exit 2");
    advance(milliseconds(1'000));
    unhealthy("web.1");
    EXPECT_EQ(unit("web.1").error, "not ready yet: HTTP 500; the life before ended with exit 2");
}

TEST_F(FleetTest, how_the_last_life_ended_is_kept_while_the_next_one_is_ready) {
    add("web", Kind::service);
    settle();
    advance(milliseconds(3'000));
    fleet.ended(unit("web.1").id, {"signal 11 (Segmentation fault)", {}, 11}, "", now);
    perform();
    const WallTime died = now.wall;
    advance(milliseconds(10));
    healthy("web.1");
    EXPECT_EQ(unit("web.1").state, State::ready);
    EXPECT_EQ(unit("web.1").exit.signal, 11);
    EXPECT_EQ(unit("web.1").exited_at, died);
    EXPECT_EQ(unit("web.1").uptime, milliseconds(8'000));
    EXPECT_EQ(unit("web.1").reason, "signal 11 (Segmentation fault)");
    ASSERT_TRUE(fleet.restart("web", 0, now).has_value());
    perform();
    EXPECT_EQ(all("web.1")[1]->reason, "a restart was asked for");
    EXPECT_EQ(all("web.1")[1]->exit.signal, 11);
}

TEST_F(FleetTest, what_waits_names_what_it_waits_for) {
    add("web", Kind::service);
    add("cart", Kind::service);
    add("db", Kind::service);
    program("web").depends_on = {"cart", "db"};
    apply();
    EXPECT_THAT(fleet.waits_for(unit("web.1")), ElementsAre("cart", "db"));
    healthy("cart.1");
    EXPECT_THAT(fleet.waits_for(unit("web.1")), ElementsAre("db"));
    healthy("db.1");
    EXPECT_THAT(fleet.waits_for(unit("web.1")), IsEmpty());
}

TEST_F(FleetTest, a_part_that_is_frozen_is_seen_then_killed_and_one_that_answers_is_left_alone) {
    settle();
    take_done();
    for (int i = 0; i < 3; ++i) unhealthy("broker.1");
    EXPECT_EQ(unit("broker.1").state, State::unready);
    healthy("broker.1");
    EXPECT_EQ(unit("broker.1").state, State::ready);
    for (int i = 0; i < 3; ++i) unhealthy("broker.1");
    EXPECT_THAT(take_done(), IsEmpty());
    advance(milliseconds(10'000));
    EXPECT_THAT(take_done(), ElementsAre("kill broker.1"));
    die("broker.1");
    EXPECT_THAT(take_done(), ElementsAre("spawn broker.1"));
}

TEST_F(FleetTest, a_part_that_is_long_in_starting_is_not_asked) {
    apply();
    advance(milliseconds(60'000));
    for (const Effect& effect : fleet.take_effects()) EXPECT_FALSE(std::holds_alternative<Probe>(effect));
    EXPECT_THAT(done, testing::Not(testing::Contains(HasSubstr("kill"))));
}

}  // namespace
}  // namespace havn::supervisor
