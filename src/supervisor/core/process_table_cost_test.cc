// What an event costs, what is known about lives that ended, and what is held back.
#include "supervisor/core/process_table.h"

#include "supervisor/core/process_table_fixture.h"

namespace havn::supervisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(ProcessTableTest, one_event_costs_the_same_however_many_instances_there_are) {
    add("web", Kind::service, 1'000);
    program("web").health = HealthCheck{};
    add("job", Kind::worker, 1'000);
    program("job").depends_on = {"web"};
    settle();
    advance(milliseconds(2'000));
    const auto cost = [this](auto event) {
        const std::uint64_t before = table.visits();
        event();
        return table.visits() - before;
    };
    EXPECT_LT(cost([&] { table.probed(all("web.500")[0]->id, true, "", now); }), 10u);
    EXPECT_LT(cost([&] { die("web.500"); }), 40u);
    EXPECT_LT(cost([&] { healthy("web.500"); }), 20u);
    EXPECT_LT(cost([&] { die("job.999"); }), 40u);
    EXPECT_LT(cost([&] { ASSERT_TRUE(table.restart("", "job", 7, now).has_value()); }), 20u);
    EXPECT_LT(cost([&] { die("job.7"); }), 40u);
    now.time += milliseconds(1);
    EXPECT_LT(cost([&] { table.tick(now); }), 10u);
    table.stop_all(now);
    perform();
    EXPECT_LT(cost([&] { die("job.1"); }), 40u);
}

TEST_F(ProcessTableTest, a_thousand_starts_and_stops_cost_a_thousand_times_one) {
    add("job", Kind::worker, 1'000);
    settle();
    EXPECT_LT(table.visits(), 40'000u);
    table.stop_all(now);
    std::vector<InstanceId> ids;
    for (const auto& [id, instance] : table.instances()) ids.push_back(id);
    for (const InstanceId id : ids) table.ended(id, "exit 0", "", now);
    for (const char* part : {"broker.1", "control.1"}) {
        if (!all(part).empty()) die(part);
    }
    perform();
    EXPECT_TRUE(finished);
    EXPECT_LT(table.visits(), 80'000u);
}

TEST_F(ProcessTableTest, an_apply_with_one_changed_program_looks_at_that_one) {
    for (int i = 0; i < 10; ++i) add("web" + std::to_string(i), Kind::service, 100);
    add("job", Kind::worker, 2);
    program("job").depends_on = {"web3"};
    settle();
    const auto cost = [this] {
        const std::uint64_t before = table.visits();
        apply();
        return table.visits() - before;
    };
    EXPECT_EQ(cost(), 0u) << "nothing changed";
    program("job").command = "another";
    EXPECT_LT(cost(), 20u);
    program("web3").instances = 101;
    EXPECT_LT(cost(), 250u) << "one program of a hundred instances, and who depends on it";
    std::ignore = table.take_touched();
    EXPECT_EQ(cost(), 0u);
    EXPECT_TRUE(table.take_touched().instances.empty());
}

TEST_F(ProcessTableTest, applications_do_not_meet) {
    add("web", Kind::service);
    add("web", Kind::service);
    add("job", Kind::worker);
    desired.programs[0].app = "blog";
    desired.programs[1].app = desired.programs[2].app = "shop";
    desired.programs[2].depends_on = {"web"};
    apply();
    parts_ready();
    healthy("blog/web.1");
    EXPECT_EQ(instance("shop/job.1").state, State::waiting);
    healthy("shop/web.1");
    EXPECT_EQ(instance("shop/job.1").state, State::starting);
    EXPECT_EQ(endpoints("blog/web").size(), 1u);
    EXPECT_FALSE(table.restart("", "web", 0, now).has_value());
    ASSERT_TRUE(table.restart("shop", "web", 1, now).has_value());
    EXPECT_EQ(all("shop/web.1").size(), 2u);
    EXPECT_EQ(all("blog/web.1").size(), 1u);
}

TEST_F(ProcessTableTest, of_two_that_were_taken_over_for_one_place_the_later_one_stays) {
    add("web", Kind::service);
    settle();
    Instance before = instance("web.1"), after = before;
    after.id = before.id + 1;
    after.state = State::starting;
    after.life.pid = 77;
    ProcessTable next(1);
    for (const auto& [id, other] : table.instances()) {
        if (other.role == Role::platform) next.adopt(other, now);
    }
    next.adopt(before, now);
    next.adopt(after, now);
    next.apply(desired, now);
    EXPECT_TRUE(next.find(before.id)->outdated);
    EXPECT_EQ(next.find(before.id)->state, State::ready) << "until the other one is ready";
    next.probed(after.id, true, "", now);
    EXPECT_EQ(next.find(after.id)->state, State::ready);
    EXPECT_EQ(next.find(before.id)->state, State::draining);
}

TEST_F(ProcessTableTest, a_start_that_takes_its_time_may_be_ended_before_it_is_told) {
    add("web", Kind::service);
    table.apply(desired, now);
    const InstanceId id = instance("web.1").id;
    std::ignore = table.take_effects();  // a runtime that goes on starting
    desired.programs.clear();
    table.apply(desired, now);
    const std::vector<Effect> effects = table.take_effects();
    EXPECT_TRUE(std::ranges::any_of(effects, [id](const Effect& effect) {
        const auto* terminate = std::get_if<Terminate>(&effect);
        return terminate && terminate->instance == id;
    }));
    table.started(id, {.handle = "h", .pid = 7, .start_time = 1, .address = "10.0.0.1:80"}, now);
    EXPECT_EQ(instance("web.1").state, State::stopping);
    table.ended(id, "exit 0", "", now);
    EXPECT_TRUE(all("web.1").empty());
}

TEST_F(ProcessTableTest, a_quarter_of_many_instances_is_replaced_at_a_time) {
    add("job", Kind::worker, 20);
    settle();
    ASSERT_TRUE(table.restart("", "job", 0, now).has_value());
    EXPECT_THAT(take_done(),
                ElementsAre("term job.1", "term job.2", "term job.3", "term job.4", "term job.5"));
    for (const char* job : {"job.1", "job.2", "job.3", "job.4", "job.5"}) die(job);
    EXPECT_EQ(take_done().size(), 5u);  // the replacements start; the next five wait until these are ready
    advance(milliseconds(1'000));
    EXPECT_THAT(take_done(),
                ElementsAre("term job.6", "term job.7", "term job.8", "term job.9", "term job.10"));
}

TEST_F(ProcessTableTest, a_quarter_of_a_large_service_is_replaced_at_a_time_and_all_keep_serving) {
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

TEST_F(ProcessTableTest, an_apply_or_a_scale_leaves_the_pauses_of_what_fails_alone) {
    add("bad", Kind::worker);
    add("web", Kind::service);
    settle();
    for (int i = 0; i < 5; ++i) {
        die("bad.1");
        while (instance("bad.1").state != State::starting) advance(milliseconds(1'000));
    }
    die("bad.1");
    ASSERT_EQ(instance("bad.1").state, State::backoff);
    const InstanceId id = instance("bad.1").id;
    const Time due = table.wake_at();
    take_done();
    apply();
    program("web").instances = 3;
    program("web").environment["NEW"] = "1";
    apply();
    EXPECT_EQ(instance("bad.1").id, id);
    EXPECT_EQ(instance("bad.1").state, State::backoff);
    EXPECT_LE(table.wake_at(), due);
    EXPECT_THAT(take_done(), testing::Not(testing::Contains("spawn bad.1")));
}

TEST_F(ProcessTableTest, a_worker_that_dies_every_few_seconds_is_held_back_and_says_so) {
    add("job", Kind::worker);
    settle();
    for (int i = 0; i < 10; ++i) {
        advance(milliseconds(1'300));
        EXPECT_FALSE(instance("job.1").is_failing());
        die("job.1");
        EXPECT_EQ(instance("job.1").state, State::starting);
    }
    advance(milliseconds(1'300));
    ASSERT_EQ(instance("job.1").state, State::ready);
    die("job.1");
    EXPECT_EQ(instance("job.1").state, State::backoff);
    EXPECT_GT(instance("job.1").retry_at, now.wall);
    advance(milliseconds(1'000));
    advance(milliseconds(1'300));
    EXPECT_EQ(instance("job.1").state, State::ready);
    EXPECT_TRUE(instance("job.1").is_failing());
}

TEST_F(ProcessTableTest, a_service_that_ends_before_it_is_ready_is_reported_with_its_end) {
    add("web", Kind::service);
    program("web").startretries = 0;
    apply();
    unhealthy("web.1");
    EXPECT_EQ(instance("web.1").error, "not ready yet: HTTP 500");
    table.ended(instance("web.1").id, {"exit 2", 2, {}}, "", now);
    perform();
    EXPECT_EQ(instance("web.1").state, State::backoff);
    EXPECT_EQ(instance("web.1").error, "");
    EXPECT_EQ(instance("web.1").reason, "exit 2");
    advance(milliseconds(1'000));
    unhealthy("web.1");
    EXPECT_EQ(instance("web.1").error, "not ready yet: HTTP 500; the life before ended with exit 2");
}

TEST_F(ProcessTableTest, how_the_last_life_ended_is_kept_while_the_next_one_is_ready) {
    add("web", Kind::service);
    settle();
    advance(milliseconds(3'000));
    table.ended(instance("web.1").id, {"signal 11 (Segmentation fault)", {}, 11}, "", now);
    perform();
    const WallTime died = now.wall;
    advance(milliseconds(10));
    healthy("web.1");
    EXPECT_EQ(instance("web.1").state, State::ready);
    EXPECT_EQ(instance("web.1").exit.signal, 11);
    EXPECT_EQ(instance("web.1").exited_at, died);
    EXPECT_EQ(instance("web.1").uptime, milliseconds(8'000));
    EXPECT_EQ(instance("web.1").reason, "signal 11 (Segmentation fault)");
    ASSERT_TRUE(table.restart("", "web", 0, now).has_value());
    perform();
    EXPECT_EQ(all("web.1")[1]->reason, "a restart was asked for");
    EXPECT_EQ(all("web.1")[1]->exit.signal, 11);
}

TEST_F(ProcessTableTest, what_waits_names_what_it_waits_for) {
    add("web", Kind::service);
    add("cart", Kind::service);
    add("db", Kind::service);
    program("web").depends_on = {"cart", "db"};
    apply();
    EXPECT_THAT(table.waits_for(instance("web.1")), ElementsAre("cart", "db"));
    healthy("cart.1");
    EXPECT_THAT(table.waits_for(instance("web.1")), ElementsAre("db"));
    healthy("db.1");
    EXPECT_THAT(table.waits_for(instance("web.1")), IsEmpty());
}

TEST_F(ProcessTableTest, a_part_that_is_frozen_is_seen_then_killed_and_one_that_answers_is_left_alone) {
    settle();
    take_done();
    for (int i = 0; i < 3; ++i) unhealthy("broker.1");
    EXPECT_EQ(instance("broker.1").state, State::unready);
    healthy("broker.1");
    EXPECT_EQ(instance("broker.1").state, State::ready);
    for (int i = 0; i < 3; ++i) unhealthy("broker.1");
    EXPECT_THAT(take_done(), IsEmpty());
    advance(milliseconds(10'000));
    EXPECT_THAT(take_done(), ElementsAre("kill broker.1"));
    die("broker.1");
    EXPECT_THAT(take_done(), ElementsAre("spawn broker.1"));
}

TEST_F(ProcessTableTest, a_part_that_is_long_in_starting_is_not_asked) {
    apply();
    advance(milliseconds(60'000));
    for (const Effect& effect : table.take_effects()) EXPECT_FALSE(std::holds_alternative<Probe>(effect));
    EXPECT_THAT(done, testing::Not(testing::Contains(HasSubstr("kill"))));
}

}  // namespace
}  // namespace havn::supervisor
