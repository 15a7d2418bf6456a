#include "supervisor/core/process_table.h"

#include "supervisor/core/process_table_fixture.h"

namespace havn::supervisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST_F(ProcessTableTest, with_no_configuration_only_control_runs) {
    table.begin(now);
    EXPECT_THAT(take_done(), ElementsAre("spawn control.1"));
}

TEST_F(ProcessTableTest, an_application_starts_with_the_parts_it_needs) {
    add("web", Kind::service, 2);
    apply();
    EXPECT_THAT(take_done(), UnorderedElementsAre("spawn control.1", "spawn broker.1", "spawn gateway.1",
                                                  "spawn web.1", "spawn web.2"));
    desired.embedded_broker = false;
    apply();
    EXPECT_THAT(take_done(), ElementsAre("term broker.1"));
}

TEST_F(ProcessTableTest, a_service_is_ready_when_its_probe_passes_and_only_then_an_endpoint) {
    add("web", Kind::service);
    apply();
    EXPECT_THAT(endpoints("web"), IsEmpty());
    unhealthy("web.1");
    EXPECT_EQ(instance("web.1").state, State::starting);
    healthy("web.1");
    EXPECT_THAT(endpoints("web"), ElementsAre(instance("web.1").life.address));
}

TEST_F(ProcessTableTest, a_worker_is_ready_after_startsecs) {
    add("job", Kind::worker);
    apply();
    advance(milliseconds(999));
    EXPECT_EQ(instance("job.1").state, State::starting);
    advance(milliseconds(1));
    EXPECT_EQ(instance("job.1").state, State::ready);
}

TEST_F(ProcessTableTest, a_crash_is_followed_by_a_new_process_in_the_same_call) {
    add("web", Kind::service, 2);
    settle();
    const int sibling = instance("web.2").life.pid;
    table.ended(instance("web.1").id, "signal 9 (Killed)", "", now);
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
    EXPECT_EQ(instance("web.2").life.pid, sibling);
    EXPECT_EQ(instance("web.1").restarts, 1u);
    EXPECT_THAT(endpoints("web"), ElementsAre(instance("web.2").life.address));
}

TEST_F(ProcessTableTest, a_crash_loop_slows_down_and_never_ends) {
    add("job", Kind::worker);
    apply();
    for (int i = 0; i < 3; ++i) {
        die("job.1");
        EXPECT_EQ(instance("job.1").state, State::starting);
    }
    for (int i = 0; i < 20; ++i) {
        die("job.1");
        ASSERT_EQ(instance("job.1").state, State::backoff);
        advance(std::chrono::ceil<milliseconds>(table.wake_at() - now.time));
        while (instance("job.1").state == State::backoff) advance(milliseconds(1'000));
        EXPECT_EQ(instance("job.1").state, State::starting);
    }
    advance(milliseconds(1'000));
    EXPECT_EQ(instance("job.1").state, State::ready);
    die("job.1");
    EXPECT_EQ(instance("job.1").state, State::starting);
}

TEST_F(ProcessTableTest, a_command_that_cannot_run_says_why_and_is_retried_slowly) {
    add("job", Kind::worker);
    program("job").startretries = 0;
    apply();
    table.ended(instance("job.1").id, "", "command 'job' not found", now);
    perform();
    EXPECT_EQ(instance("job.1").state, State::backoff);
    EXPECT_EQ(instance("job.1").error, "command 'job' not found");
}

TEST_F(ProcessTableTest, a_start_that_takes_too_long_counts_as_failed_and_is_repeated) {
    add("web", Kind::service);
    apply();
    take_done();
    advance(milliseconds(30'000));
    EXPECT_THAT(take_done(), ElementsAre("term web.1"));
    EXPECT_THAT(instance("web.1").error, HasSubstr("not ready within 30.0 s"));
    die("web.1");
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
}

TEST_F(ProcessTableTest, dependants_start_when_what_they_need_is_ready) {
    add("web", Kind::service);
    add("cart", Kind::service);
    program("web").depends_on = {"cart"};
    apply();
    EXPECT_EQ(instance("web.1").state, State::waiting);
    take_done();
    healthy("cart.1");
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
}

TEST_F(ProcessTableTest, a_restart_after_a_crash_does_not_wait_for_dependencies) {
    add("web", Kind::service);
    add("cart", Kind::service);
    program("web").depends_on = {"cart"};
    settle();
    die("cart.1");
    EXPECT_EQ(instance("cart.1").state, State::starting);
    die("web.1");
    EXPECT_EQ(instance("web.1").state, State::starting);
}

TEST_F(ProcessTableTest, applying_the_same_again_does_nothing) {
    add("web", Kind::service, 2);
    add("job", Kind::worker);
    settle();
    apply();
    EXPECT_THAT(take_done(), IsEmpty());
}

TEST_F(ProcessTableTest, scaling_touches_no_sibling) {
    add("web", Kind::service, 2);
    settle();
    program("web").instances = 4;
    apply();
    EXPECT_THAT(take_done(), ElementsAre("spawn web.3", "spawn web.4"));
    program("web").instances = 1;
    apply();
    table.drained(instance("web.2").life.address, now);
    EXPECT_THAT(take_done(), UnorderedElementsAre("term web.2", "term web.3", "term web.4"));
}

TEST_F(ProcessTableTest, a_changed_service_is_replaced_one_by_one_each_replacement_ready_first) {
    add("web", Kind::service, 2);
    add("cart", Kind::service);
    settle();
    program("web").environment["NEW"] = "1";
    apply();
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
    ASSERT_EQ(all("web.1").size(), 2u);
    EXPECT_EQ(endpoints("web").size(), 2u);
    const std::string old = all("web.1")[0]->life.address;
    healthy(*all("web.1")[1]);
    EXPECT_THAT(take_done(), ElementsAre("spawn web.2"));  // and the old web.1 drains
    EXPECT_THAT(endpoints("web"), testing::Not(testing::Contains(old)));
    table.drained(old, now);
    EXPECT_THAT(take_done(), ElementsAre("term web.1"));
    die(*all("web.1")[0]);
    healthy(*all("web.2")[1]);
    table.drained(all("web.2")[0]->life.address, now);
    EXPECT_THAT(take_done(), ElementsAre("term web.2"));
}

TEST_F(ProcessTableTest, a_replacement_that_never_gets_ready_leaves_the_old_ones_serving) {
    add("web", Kind::service, 2);
    settle();
    program("web").command = "broken";
    apply();
    const std::vector<std::string> before = endpoints("web");
    for (int i = 0; i < 6; ++i) {
        const Instance* fresh = all("web.1")[1];
        if (fresh->state == State::starting) die(*fresh);
    }
    EXPECT_EQ(all("web.1")[1]->state, State::backoff);
    EXPECT_EQ(endpoints("web"), before);
    program("web").command = "web";  // taken back: the failing one goes, nothing else happens
    take_done();
    apply();
    EXPECT_THAT(take_done(), IsEmpty());
    EXPECT_EQ(endpoints("web"), before);
    EXPECT_EQ(instance("web.1").state, State::ready);
}

TEST_F(ProcessTableTest, a_worker_ends_before_its_replacement_starts_and_siblings_wait_their_turn) {
    add("job", Kind::worker, 2);
    settle();
    program("job").command = "other";
    apply();
    EXPECT_THAT(take_done(), ElementsAre("term job.1"));
    die("job.1");
    EXPECT_THAT(take_done(), ElementsAre("spawn job.1"));
    advance(milliseconds(1'000));
    EXPECT_THAT(take_done(), ElementsAre("term job.2"));
}

TEST_F(ProcessTableTest, an_instance_that_is_not_ready_is_replaced_at_once) {
    add("web", Kind::service, 3);
    apply();
    take_done();
    program("web").command = "fixed";
    apply();
    EXPECT_THAT(take_done(), UnorderedElementsAre("term web.1", "term web.2", "term web.3", "spawn web.1",
                                                  "spawn web.2", "spawn web.3"));
}

TEST_F(ProcessTableTest, a_stop_waits_for_requests_in_flight_then_escalates) {
    add("web", Kind::service);
    settle();
    desired.programs.clear();
    apply();
    EXPECT_EQ(instance("web.1").state, State::draining);
    EXPECT_THAT(take_done(), IsEmpty());
    advance(milliseconds(10'000));
    EXPECT_THAT(take_done(), ElementsAre("term web.1"));
    advance(milliseconds(10'000));
    EXPECT_THAT(take_done(), ElementsAre("kill web.1"));
    advance(milliseconds(1'000));
    EXPECT_THAT(take_done(), ElementsAre("kill web.1"));
    die("web.1");
    EXPECT_THAT(all("web.1"), IsEmpty());
}

TEST_F(ProcessTableTest, nothing_is_in_flight_once_the_gateway_is_gone) {
    add("web", Kind::service);
    settle();
    desired.programs.clear();
    apply();
    die("gateway.1");
    EXPECT_THAT(take_done(), UnorderedElementsAre("term web.1", "spawn gateway.1"));
}

TEST_F(ProcessTableTest, failed_health_checks_take_it_out_and_one_success_brings_it_back) {
    add("web", Kind::service);
    program("web").health = HealthCheck{};
    settle();
    unhealthy("web.1");
    unhealthy("web.1");
    EXPECT_EQ(endpoints("web").size(), 1u);
    unhealthy("web.1");
    EXPECT_THAT(endpoints("web"), IsEmpty());
    EXPECT_EQ(instance("web.1").error, "health check failed: HTTP 500");
    healthy("web.1");
    EXPECT_EQ(endpoints("web").size(), 1u);
    EXPECT_EQ(instance("web.1").error, "");
}

TEST_F(ProcessTableTest, one_success_between_failures_starts_the_count_anew) {
    add("web", Kind::service);
    program("web").health = HealthCheck{};
    settle();
    for (int i = 0; i < 10; ++i) {
        unhealthy("web.1");
        unhealthy("web.1");
        healthy("web.1");
    }
    EXPECT_EQ(instance("web.1").state, State::ready);
}

TEST_F(ProcessTableTest, an_instance_that_stays_unhealthy_is_restarted) {
    add("web", Kind::service);
    program("web").health = HealthCheck{};
    settle();
    for (int i = 0; i < 3; ++i) unhealthy("web.1");
    for (int i = 0; i < 29; ++i) {
        advance(milliseconds(1'000));
        unhealthy("web.1");
    }
    EXPECT_THAT(take_done(), IsEmpty());
    advance(milliseconds(1'000));
    EXPECT_THAT(take_done(), ElementsAre("term web.1"));
    die("web.1");
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
}

TEST_F(ProcessTableTest, a_restart_by_request_replaces_without_a_gap) {
    add("web", Kind::service);
    settle();
    ASSERT_TRUE(table.restart("", "web", 0, now).has_value());
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
    EXPECT_EQ(endpoints("web").size(), 1u);
    healthy(*all("web.1")[1]);
    table.drained(all("web.1")[0]->life.address, now);
    EXPECT_THAT(take_done(), ElementsAre("term web.1"));
}

TEST_F(ProcessTableTest, a_restart_of_what_is_not_there_names_what_is) {
    add("web", Kind::service);
    settle();
    const Result<> refused = table.restart("", "wbe", 0, now);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().remedy, HasSubstr("web"));
    EXPECT_FALSE(table.restart("", "web", 2, now).has_value());
}

TEST_F(ProcessTableTest, a_restart_of_something_in_backoff_starts_it_now) {
    add("job", Kind::worker);
    program("job").startretries = 0;
    apply();
    die("job.1");
    ASSERT_EQ(instance("job.1").state, State::backoff);
    take_done();
    ASSERT_TRUE(table.restart("", "job", 1, now).has_value());
    EXPECT_THAT(take_done(), ElementsAre("spawn job.1"));
}

TEST_F(ProcessTableTest, a_part_that_dies_is_back_at_once_however_often) {
    settle();
    for (int i = 0; i < 50; ++i) {
        die("broker.1");
        EXPECT_THAT(take_done(), ElementsAre("spawn broker.1"));
        table.reported_ready(instance("broker.1").id, now);
        advance(milliseconds(100));
    }
}

TEST_F(ProcessTableTest, a_part_that_cannot_start_is_retried_within_seconds) {
    settle();
    for (int i = 0; i < 30; ++i) {
        die("broker.1");
        if (instance("broker.1").state == State::backoff) {
            EXPECT_LE(table.wake_at() - now.time, seconds(5));
            while (instance("broker.1").state == State::backoff) advance(milliseconds(1'000));
        }
    }
    EXPECT_EQ(instance("broker.1").state, State::starting);
}

TEST_F(ProcessTableTest, stopping_everything_goes_in_order_and_finishes) {
    add("web", Kind::service);
    add("job", Kind::worker);
    settle();
    table.stop_all(now);
    EXPECT_THAT(take_done(), UnorderedElementsAre("term gateway.1", "term job.1"));
    die("job.1");
    EXPECT_THAT(take_done(), IsEmpty());
    die("gateway.1");
    EXPECT_THAT(take_done(), ElementsAre("term web.1"));
    die("web.1");
    EXPECT_THAT(take_done(), ElementsAre("term broker.1"));
    die("broker.1");
    EXPECT_THAT(take_done(), ElementsAre("term control.1"));
    EXPECT_FALSE(finished);
    die("control.1");
    EXPECT_TRUE(finished);
}

TEST_F(ProcessTableTest, what_crashes_while_everything_stops_stays_down) {
    add("web", Kind::service);
    settle();
    table.stop_all(now);
    die("web.1");
    die("gateway.1");
    die("broker.1");
    die("control.1");
    EXPECT_THAT(take_done(), testing::Not(testing::Contains(HasSubstr("spawn"))));
    EXPECT_TRUE(finished);
}

TEST_F(ProcessTableTest, killing_everything_does_not_wait) {
    add("web", Kind::service);
    settle();
    table.kill_all(now);
    EXPECT_THAT(take_done(),
                UnorderedElementsAre("kill control.1", "kill broker.1", "kill gateway.1", "kill web.1"));
}

}  // namespace
}  // namespace havn::supervisor
