#include "supervisor/core/fleet.h"

#include "supervisor/core/fleet_fixture.h"
#include "supervisor/core/saved_state.h"

namespace havn::supervisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Json saved_json(const Fleet& fleet) {
    RowCache rows;
    return parse_json(saved_text(fleet, "run", Json::object(), rows)).value();
}

TEST_F(FleetTest, with_no_configuration_only_control_runs) {
    fleet.begin(now);
    EXPECT_THAT(take_done(), ElementsAre("spawn control.1"));
}

TEST_F(FleetTest, an_application_starts_with_the_parts_it_needs) {
    add("web", Kind::service, 2);
    apply();
    EXPECT_THAT(take_done(), UnorderedElementsAre("spawn control.1", "spawn broker.1", "spawn gateway.1",
                                                  "spawn web.1", "spawn web.2"));
    desired.embedded_broker = false;
    apply();
    EXPECT_THAT(take_done(), ElementsAre("term broker.1"));
}

TEST_F(FleetTest, a_service_is_ready_when_its_probe_passes_and_only_then_an_endpoint) {
    add("web", Kind::service);
    apply();
    EXPECT_THAT(endpoints("web"), IsEmpty());
    unhealthy("web.1");
    EXPECT_EQ(unit("web.1").state, State::starting);
    healthy("web.1");
    EXPECT_THAT(endpoints("web"), ElementsAre(unit("web.1").endpoint()));
}

TEST_F(FleetTest, a_worker_is_ready_after_startsecs) {
    add("job", Kind::worker);
    apply();
    advance(milliseconds(999));
    EXPECT_EQ(unit("job.1").state, State::starting);
    advance(milliseconds(1));
    EXPECT_EQ(unit("job.1").state, State::ready);
}

TEST_F(FleetTest, a_crash_is_followed_by_a_new_process_in_the_same_call) {
    add("web", Kind::service, 2);
    settle();
    const int sibling = unit("web.2").pid;
    fleet.ended(unit("web.1").id, "signal 9 (Killed)", "", now);
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
    EXPECT_EQ(unit("web.2").pid, sibling);
    EXPECT_EQ(unit("web.1").restarts, 1u);
    EXPECT_THAT(endpoints("web"), ElementsAre(unit("web.2").endpoint()));
}

TEST_F(FleetTest, a_crash_loop_slows_down_and_never_ends) {
    add("job", Kind::worker);
    apply();
    for (int i = 0; i < 3; ++i) {
        die("job.1");
        EXPECT_EQ(unit("job.1").state, State::starting);
    }
    for (int i = 0; i < 20; ++i) {
        die("job.1");
        ASSERT_EQ(unit("job.1").state, State::backoff);
        advance(std::chrono::ceil<milliseconds>(fleet.wake_at() - now.time));
        while (unit("job.1").state == State::backoff) advance(milliseconds(1'000));
        EXPECT_EQ(unit("job.1").state, State::starting);
    }
    advance(milliseconds(1'000));
    EXPECT_EQ(unit("job.1").state, State::ready);
    die("job.1");
    EXPECT_EQ(unit("job.1").state, State::starting);
}

TEST_F(FleetTest, a_command_that_cannot_run_says_why_and_is_retried_slowly) {
    add("job", Kind::worker);
    program("job").startretries = 0;
    apply();
    fleet.ended(unit("job.1").id, "", "command 'job' not found", now);
    perform();
    EXPECT_EQ(unit("job.1").state, State::backoff);
    EXPECT_EQ(unit("job.1").error, "command 'job' not found");
}

TEST_F(FleetTest, a_start_that_takes_too_long_counts_as_failed_and_is_repeated) {
    add("web", Kind::service);
    apply();
    take_done();
    advance(milliseconds(30'000));
    EXPECT_THAT(take_done(), ElementsAre("term web.1"));
    EXPECT_THAT(unit("web.1").error, HasSubstr("not ready within 30.0 s"));
    die("web.1");
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
}

TEST_F(FleetTest, dependants_start_when_what_they_need_is_ready) {
    add("web", Kind::service);
    add("cart", Kind::service);
    program("web").depends_on = {"cart"};
    apply();
    EXPECT_EQ(unit("web.1").state, State::waiting);
    take_done();
    healthy("cart.1");
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
}

TEST_F(FleetTest, a_restart_after_a_crash_does_not_wait_for_dependencies) {
    add("web", Kind::service);
    add("cart", Kind::service);
    program("web").depends_on = {"cart"};
    settle();
    die("cart.1");
    EXPECT_EQ(unit("cart.1").state, State::starting);
    die("web.1");
    EXPECT_EQ(unit("web.1").state, State::starting);
}

TEST_F(FleetTest, applying_the_same_again_does_nothing) {
    add("web", Kind::service, 2);
    add("job", Kind::worker);
    settle();
    apply();
    EXPECT_THAT(take_done(), IsEmpty());
}

TEST_F(FleetTest, scaling_touches_no_sibling) {
    add("web", Kind::service, 2);
    settle();
    program("web").instances = 4;
    apply();
    EXPECT_THAT(take_done(), ElementsAre("spawn web.3", "spawn web.4"));
    program("web").instances = 1;
    apply();
    fleet.drained(unit("web.2").endpoint(), now);
    EXPECT_THAT(take_done(), UnorderedElementsAre("term web.2", "term web.3", "term web.4"));
}

TEST_F(FleetTest, a_changed_service_is_replaced_one_by_one_each_replacement_ready_first) {
    add("web", Kind::service, 2);
    add("cart", Kind::service);
    settle();
    program("web").environment["NEW"] = "1";
    apply();
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
    ASSERT_EQ(all("web.1").size(), 2u);
    EXPECT_EQ(endpoints("web").size(), 2u);
    const std::string old = all("web.1")[0]->endpoint();
    healthy(*all("web.1")[1]);
    EXPECT_THAT(take_done(), ElementsAre("spawn web.2"));  // and the old web.1 drains
    EXPECT_THAT(endpoints("web"), testing::Not(testing::Contains(old)));
    fleet.drained(old, now);
    EXPECT_THAT(take_done(), ElementsAre("term web.1"));
    die(*all("web.1")[0]);
    healthy(*all("web.2")[1]);
    fleet.drained(all("web.2")[0]->endpoint(), now);
    EXPECT_THAT(take_done(), ElementsAre("term web.2"));
}

TEST_F(FleetTest, a_replacement_that_never_gets_ready_leaves_the_old_ones_serving) {
    add("web", Kind::service, 2);
    settle();
    program("web").command = "broken";
    apply();
    const std::vector<std::string> before = endpoints("web");
    for (int i = 0; i < 6; ++i) {
        const Unit* fresh = all("web.1")[1];
        if (fresh->state == State::starting) die(*fresh);
    }
    EXPECT_EQ(all("web.1")[1]->state, State::backoff);
    EXPECT_EQ(endpoints("web"), before);
    program("web").command = "web";  // taken back: the failing one goes, nothing else happens
    take_done();
    apply();
    EXPECT_THAT(take_done(), IsEmpty());
    EXPECT_EQ(endpoints("web"), before);
    EXPECT_EQ(unit("web.1").state, State::ready);
}

TEST_F(FleetTest, a_worker_ends_before_its_replacement_starts_and_siblings_wait_their_turn) {
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

TEST_F(FleetTest, an_instance_that_is_not_ready_is_replaced_at_once) {
    add("web", Kind::service, 3);
    apply();
    take_done();
    program("web").command = "fixed";
    apply();
    EXPECT_THAT(take_done(), UnorderedElementsAre("term web.1", "term web.2", "term web.3", "spawn web.1",
                                                  "spawn web.2", "spawn web.3"));
}

TEST_F(FleetTest, a_stop_waits_for_requests_in_flight_then_escalates) {
    add("web", Kind::service);
    settle();
    desired.programs.clear();
    apply();
    EXPECT_EQ(unit("web.1").state, State::draining);
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

TEST_F(FleetTest, nothing_is_in_flight_once_the_gateway_is_gone) {
    add("web", Kind::service);
    settle();
    desired.programs.clear();
    apply();
    die("gateway.1");
    EXPECT_THAT(take_done(), UnorderedElementsAre("term web.1", "spawn gateway.1"));
}

TEST_F(FleetTest, failed_health_checks_take_it_out_and_one_success_brings_it_back) {
    add("web", Kind::service);
    program("web").health = HealthCheck{};
    settle();
    unhealthy("web.1");
    unhealthy("web.1");
    EXPECT_EQ(endpoints("web").size(), 1u);
    unhealthy("web.1");
    EXPECT_THAT(endpoints("web"), IsEmpty());
    EXPECT_EQ(unit("web.1").error, "health check failed: HTTP 500");
    healthy("web.1");
    EXPECT_EQ(endpoints("web").size(), 1u);
    EXPECT_EQ(unit("web.1").error, "");
}

TEST_F(FleetTest, one_success_between_failures_starts_the_count_anew) {
    add("web", Kind::service);
    program("web").health = HealthCheck{};
    settle();
    for (int i = 0; i < 10; ++i) {
        unhealthy("web.1");
        unhealthy("web.1");
        healthy("web.1");
    }
    EXPECT_EQ(unit("web.1").state, State::ready);
}

TEST_F(FleetTest, an_instance_that_stays_unhealthy_is_restarted) {
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

TEST_F(FleetTest, a_restart_by_request_replaces_without_a_gap) {
    add("web", Kind::service);
    settle();
    ASSERT_TRUE(fleet.restart("web", 0, now).has_value());
    EXPECT_THAT(take_done(), ElementsAre("spawn web.1"));
    EXPECT_EQ(endpoints("web").size(), 1u);
    healthy(*all("web.1")[1]);
    fleet.drained(all("web.1")[0]->endpoint(), now);
    EXPECT_THAT(take_done(), ElementsAre("term web.1"));
}

TEST_F(FleetTest, a_restart_of_what_is_not_there_names_what_is) {
    add("web", Kind::service);
    settle();
    const Result<> refused = fleet.restart("wbe", 0, now);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().remedy, HasSubstr("web"));
    EXPECT_FALSE(fleet.restart("web", 2, now).has_value());
}

TEST_F(FleetTest, a_restart_of_something_in_backoff_starts_it_now) {
    add("job", Kind::worker);
    program("job").startretries = 0;
    apply();
    die("job.1");
    ASSERT_EQ(unit("job.1").state, State::backoff);
    take_done();
    ASSERT_TRUE(fleet.restart("job", 1, now).has_value());
    EXPECT_THAT(take_done(), ElementsAre("spawn job.1"));
}

TEST_F(FleetTest, a_part_that_dies_is_back_at_once_however_often) {
    settle();
    for (int i = 0; i < 50; ++i) {
        die("broker.1");
        EXPECT_THAT(take_done(), ElementsAre("spawn broker.1"));
        fleet.reported_ready(unit("broker.1").id, now);
        advance(milliseconds(100));
    }
}

TEST_F(FleetTest, a_part_that_cannot_start_is_retried_within_seconds) {
    settle();
    for (int i = 0; i < 30; ++i) {
        die("broker.1");
        if (unit("broker.1").state == State::backoff) {
            EXPECT_LE(fleet.wake_at() - now.time, seconds(5));
            while (unit("broker.1").state == State::backoff) advance(milliseconds(1'000));
        }
    }
    EXPECT_EQ(unit("broker.1").state, State::starting);
}

TEST_F(FleetTest, stopping_everything_goes_in_order_and_finishes) {
    add("web", Kind::service);
    add("job", Kind::worker);
    settle();
    fleet.stop_all(now);
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

TEST_F(FleetTest, what_crashes_while_everything_stops_stays_down) {
    add("web", Kind::service);
    settle();
    fleet.stop_all(now);
    die("web.1");
    die("gateway.1");
    die("broker.1");
    die("control.1");
    EXPECT_THAT(take_done(), testing::Not(testing::Contains(HasSubstr("spawn"))));
    EXPECT_TRUE(finished);
}

TEST_F(FleetTest, killing_everything_does_not_wait) {
    add("web", Kind::service);
    settle();
    fleet.kill_all(now);
    EXPECT_THAT(take_done(),
                UnorderedElementsAre("kill control.1", "kill broker.1", "kill gateway.1", "kill web.1"));
}

TEST_F(FleetTest, the_next_supervisor_takes_over_without_an_effect) {
    add("web", Kind::service, 2);
    add("job", Kind::worker);
    settle();
    die("web.2");
    healthy("web.2");
    take_done();
    Result<SavedState> saved = saved_state_from_json(saved_json(fleet));
    ASSERT_TRUE(saved.has_value()) << saved.error().message;
    Fleet next(1);
    for (Unit& unit : saved->units) next.adopt(std::move(unit), now);
    next.continue_endpoints(saved->endpoints_version);
    next.apply(desired, now);
    for (const Effect& effect : next.take_effects()) EXPECT_TRUE(std::holds_alternative<Publish>(effect));
    EXPECT_EQ(next.endpoints().services, fleet.endpoints().services);
    EXPECT_GT(next.endpoints().version, fleet.endpoints().version);
    ASSERT_EQ(next.units().size(), fleet.units().size());
    for (const auto& [id, unit] : fleet.units()) {
        const Unit& other = *next.find(id);
        EXPECT_EQ(other.pid, unit.pid);
        EXPECT_EQ(other.state, unit.state);
        EXPECT_EQ(other.restarts, unit.restarts);
        EXPECT_EQ(*other.program, *unit.program);
        EXPECT_EQ(other.port, unit.port);
    }
}

TEST_F(FleetTest, a_table_of_rows_that_were_kept_is_the_one_that_would_be_made_anew) {
    RowCache rows;
    const auto agrees = [&] {
        return parse_json(saved_text(fleet, "run", Json::object(), rows)).value() == saved_json(fleet);
    };
    add("web", Kind::service, 2);
    add("job", Kind::worker);
    settle();
    EXPECT_TRUE(agrees());
    die("web.2");
    EXPECT_TRUE(agrees());
    healthy("web.2");
    desired.programs.erase(desired.programs.begin());  // the specifications that stay get other numbers
    apply();
    take_done();
    EXPECT_TRUE(agrees());
    die("job.1");
    fleet.exit_known(unit("job.1").id, Exit("signal 9 (Killed)", {}, 9));
    EXPECT_TRUE(agrees());
}

TEST_F(FleetTest, a_process_started_after_the_table_was_written_is_taken_over_too) {
    add("web", Kind::service);
    settle();
    const std::string table = saved_json(fleet).dump();
    die("web.1");  // and is started again
    Result<SavedState> saved = saved_state_from_json(parse_json(table).value());
    ASSERT_TRUE(saved.has_value());
    const std::string line = spawned_line(unit("web.1"));
    add_spawned(*saved, "not json\n" + line + line.substr(0, line.size() / 2));
    const auto found = std::ranges::find(saved->units, unit("web.1").id, &Unit::id);
    EXPECT_EQ(found->pid, unit("web.1").pid);
    EXPECT_EQ(found->port, unit("web.1").port);
    EXPECT_EQ(found->restarts, 1u);
    EXPECT_EQ(found->state, State::starting);
}

TEST_F(FleetTest, a_spoilt_process_table_is_an_error_and_no_crash) {
    settle();
    Json json = saved_json(fleet);
    json["units"][0]["program"] = 99;
    EXPECT_EQ(saved_state_from_json(json).error().kind, Error::Kind::corrupt);
    json = saved_json(fleet);
    json["units"][0].erase("pid");
    EXPECT_EQ(saved_state_from_json(json).error().kind, Error::Kind::corrupt);
    EXPECT_EQ(saved_state_from_json(Json(7)).error().kind, Error::Kind::corrupt);
}

}  // namespace
}  // namespace havn::supervisor
