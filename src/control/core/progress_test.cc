#include "control/core/progress.h"

#include <gtest/gtest.h>

namespace havn::control {
namespace {

constexpr Time start{};

supervisor::Program program(const std::string& name, std::uint32_t instances = 1,
                            std::vector<std::string> depends_on = {}) {
    supervisor::Program program;
    program.name = name;
    program.instances = instances;
    program.command = "run " + name;
    program.depends_on = std::move(depends_on);
    program.start_timeout = seconds(30);
    program.stop_timeout = seconds(10);
    return program;
}

supervisor::Desired desired(std::vector<supervisor::Program> programs) {
    supervisor::Desired desired;
    desired.programs = std::move(programs);
    return desired;
}

Json row(const std::string& name, int instance, const std::string& state, int pid, int restarts = 0,
         const std::string& exit = "") {
    Json row{{"name", name}, {"instance", instance}, {"kind", "service"},
             {"pid", pid},   {"state", state},       {"restarts", restarts}};
    if (!exit.empty()) row["exit"] = exit;
    return row;
}

Json outdated(Json row) {
    row["outdated"] = true;
    return row;
}

Json with_error(Json row, const std::string& error) {
    row["error"] = error;
    return row;
}

Json table(std::vector<Json> rows) {
    Json all = rows;
    int pid = 1;
    for (const char* part : {"keeper", "supervisor", "gateway", "broker", "control"}) {
        Json own = row(part, 1, "ready", pid++);
        own["kind"] = "platform";
        all.push_back(own);
    }
    return all;
}

std::string text_of(const Progress& progress) {
    std::string text;
    for (const Progress::Outcome& outcome : progress.outcomes()) {
        if (!outcome.ok()) text += (text.empty() ? "" : "\n") + outcome.sentence();
    }
    return text;
}

// --- everything is asked for: `up`

TEST(Progress, is_over_when_all_instances_are_ready) {
    Progress progress(desired({program("web", 2)}), {}, Json::array(), start);
    progress.on(table({row("web", 1, "ready", 10), row("web", 2, "starting", 11)}), start);
    EXPECT_FALSE(progress.settled());
    progress.on(table({row("web", 1, "ready", 10), row("web", 2, "ready", 11)}), start);
    EXPECT_TRUE(progress.settled());
    EXPECT_TRUE(progress.ok());
    EXPECT_EQ(text_of(progress), "");
}

TEST(Progress, is_not_over_before_the_first_row_appears) {
    Progress progress(desired({program("web")}), {}, Json::array(), start);
    progress.on(table({}), start);
    EXPECT_FALSE(progress.settled());
}

TEST(Progress, waits_for_the_parts_of_the_platform) {
    Progress progress(desired({}), {}, Json::array(), start);
    progress.on(Json::array(), start);
    EXPECT_FALSE(progress.settled());
    progress.on(table({}), start);
    EXPECT_TRUE(progress.ok());
}

TEST(Progress, a_replaced_program_is_not_ready_while_its_old_process_is_there) {
    const Json before = table({row("web", 1, "ready", 10)});
    Progress progress(desired({program("web")}), {}, before, start);
    progress.on(table({outdated(row("web", 1, "ready", 10)), row("web", 1, "starting", 20)}), start);
    EXPECT_FALSE(progress.settled());
    progress.on(table({outdated(row("web", 1, "draining", 10)), row("web", 1, "ready", 20)}), start);
    EXPECT_FALSE(progress.settled());
    progress.on(table({row("web", 1, "ready", 20)}), start);
    EXPECT_TRUE(progress.ok());
    EXPECT_EQ(progress.outcomes().back().replaced, 1u);
}

TEST(Progress, waits_until_what_was_removed_is_gone) {
    const Json before = table({row("old", 1, "ready", 10)});
    Progress progress(desired({}), {}, before, start);
    progress.on(table({outdated(row("old", 1, "stopping", 10))}), start);
    EXPECT_FALSE(progress.settled());
    progress.on(table({}), start);
    EXPECT_TRUE(progress.ok());
}

TEST(Progress, what_does_not_go_is_named_in_the_end) {
    Progress progress(desired({}), {}, table({row("old", 1, "ready", 10)}), start);
    const Json stuck = table({outdated(row("old", 1, "killing", 10))});
    progress.on(stuck, start);
    progress.on(stuck, start + std::chrono::minutes(5));
    EXPECT_TRUE(progress.settled());
    EXPECT_FALSE(progress.ok());
    EXPECT_EQ(text_of(progress), "what was to stop: old.1 is killing");
}

TEST(Progress, tells_each_change_once_and_each_death_with_its_reason) {
    Progress progress(desired({program("web")}), {}, Json::array(), start);
    std::vector<Json> events = progress.on(table({row("web", 1, "starting", 10)}), start);
    ASSERT_FALSE(events.empty());
    EXPECT_TRUE(std::ranges::any_of(
        events, [](const Json& event) { return event["name"] == "web" && event["state"] == "starting"; }));
    EXPECT_TRUE(progress.on(table({row("web", 1, "starting", 10)}), start).empty());
    events = progress.on(table({row("web", 1, "starting", 11, 1, "exit 1")}), start);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[1]["event"], "problem");
    EXPECT_EQ(events[1]["message"], "exit 1");
    EXPECT_TRUE(progress.take_failures().empty());
}

TEST(Progress, what_has_not_moved_is_not_told) {
    const Json before = table({row("web", 1, "ready", 10)});
    Progress progress(desired({program("web")}), {}, before, start);
    EXPECT_TRUE(progress.on(before, start).empty());
    EXPECT_TRUE(progress.ok());
}

TEST(Progress, backoff_is_a_failure_and_is_told_once) {
    Progress progress(desired({program("web")}), {}, Json::array(), start);
    progress.on(table({row("web", 1, "starting", 9, 2)}), start);
    EXPECT_FALSE(progress.settled());
    const Json last = table({row("web", 1, "backoff", 0, 3, "exit 127")});
    progress.on(last, start);
    EXPECT_TRUE(progress.settled());
    const std::vector<Progress::Failure> failures = progress.take_failures();
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0].name, "web");
    EXPECT_EQ(failures[0].reason, "exit 127");
    progress.on(last, start);
    EXPECT_TRUE(progress.take_failures().empty());
    EXPECT_EQ(text_of(progress), "web: 0 of 1 ready; web.1 failed: exit 127");
}

// A program that cannot even be started never had a process: all its tries are over before the first table.
TEST(Progress, a_program_that_could_not_be_started_has_failed_at_once) {
    Progress progress(desired({program("web")}), {}, Json::array(), start);
    progress.on(table({with_error(row("web", 1, "backoff", 0), "folder /nope: No such file or directory")}),
                start);
    EXPECT_TRUE(progress.settled());
    EXPECT_EQ(text_of(progress), "web: 0 of 1 ready; web.1 failed: folder /nope: No such file or directory");
}

TEST(Progress, how_a_process_ended_says_more_than_that_it_did_not_answer) {
    Progress progress(desired({program("web")}), {}, Json::array(), start);
    progress.on(table({with_error(row("web", 1, "backoff", 0, 3, "exit 2"),
                                  "not ready yet: connect to 127.0.0.1:20000: Connection refused")}),
                start);
    EXPECT_EQ(text_of(progress), "web: 0 of 1 ready; web.1 failed: exit 2");
}

TEST(Progress, that_a_process_was_ended_because_it_was_late_says_more_than_how_it_ended) {
    Progress progress(desired({program("web")}), {}, Json::array(), start);
    progress.on(table({row("web", 1, "starting", 20)}), start);
    Json next =
        with_error(row("web", 1, "starting", 21, 1, "signal 15 (Terminated)"),
                   "not ready yet: nothing listens; the life before ended with signal 15 (Terminated)");
    next["reason"] = "not ready within 30 s (not ready yet: nothing listens)";
    progress.on(table({next}), start + seconds(30));
    progress.on(table({next}), start + seconds(32));
    EXPECT_TRUE(progress.settled());
    EXPECT_EQ(text_of(progress),
              "web: 0 of 1 ready; web.1 failed: not ready within 30 s (not ready yet: nothing listens)");
}

TEST(Progress, after_a_failure_the_others_are_waited_for_until_they_settle) {
    Progress progress(desired({program("web"), program("cart"), program("front", 1, {"web"})}), {},
                      Json::array(), start);
    const Json failing = row("web", 1, "backoff", 0, 3, "exit 1"), waiting = row("front", 1, "waiting", 0);
    progress.on(table({failing, row("cart", 1, "starting", 20), waiting}), start);
    EXPECT_FALSE(progress.settled());
    progress.on(table({failing, row("cart", 1, "ready", 20), waiting}), start);
    EXPECT_TRUE(progress.settled());
    EXPECT_EQ(text_of(progress),
              "front: 0 of 1 ready; front.1 waits for web, which is not ready\n"
              "web: 0 of 1 ready; web.1 failed: exit 1");
}

TEST(Progress, what_waits_for_something_on_its_way_is_waited_for) {
    Progress progress(desired({program("web"), program("front", 1, {"web"})}), {}, Json::array(), start);
    progress.on(table({row("web", 1, "starting", 10), row("front", 1, "waiting", 0)}), start);
    EXPECT_FALSE(progress.settled());
}

TEST(Progress, a_program_that_was_restarted_for_not_getting_ready_in_time_has_failed) {
    Progress progress(desired({program("web")}), {}, Json::array(), start);
    progress.on(table({row("web", 1, "starting", 10)}), start);
    const Json again = with_error(row("web", 1, "starting", 11, 1), "not ready within 30 s");
    progress.on(table({again}), start + seconds(32));
    const std::vector<Progress::Failure> failures = progress.take_failures();
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0].reason, "not ready within 30 s");
    EXPECT_TRUE(progress.settled());
}

TEST(Progress, a_time_limit_is_looked_at_although_no_table_comes) {
    Progress progress(desired({program("web")}), {}, Json::array(), start);
    const Json starting = table({row("web", 1, "starting", 10)});
    progress.on(starting, start);
    const Time then = progress.look_again_at();
    EXPECT_LE(then, start + seconds(35));
    progress.on(starting, then);
    EXPECT_TRUE(progress.settled());
    EXPECT_FALSE(progress.ok());
}

TEST(Progress, a_change_of_instances_leaves_the_others_unchanged) {
    const Json before = table({row("web", 1, "ready", 10)});
    Progress progress(desired({program("web", 2)}), {}, before, start);
    progress.on(table({row("web", 1, "ready", 10), row("web", 2, "ready", 11)}), start);
    EXPECT_TRUE(progress.ok());
    EXPECT_EQ(progress.outcomes().back().replaced, 1u);
}

// --- a change that fails

const Json two_old = table({row("web", 1, "ready", 10), row("web", 2, "ready", 11)});

TEST(Progress, a_failed_rolling_deploy_ends_and_says_that_the_former_version_keeps_serving) {
    Progress progress(desired({program("web", 2)}), {}, two_old, start);
    const Json old1 = outdated(row("web", 1, "ready", 10)), old2 = outdated(row("web", 2, "ready", 11));
    progress.on(table({old1, row("web", 1, "starting", 20), old2}), start);
    EXPECT_FALSE(progress.settled());
    progress.on(table({old1, row("web", 1, "backoff", 0, 3, "exit 2"), old2}), start + seconds(1));
    EXPECT_TRUE(progress.settled());
    EXPECT_FALSE(progress.ok());
    EXPECT_EQ(text_of(progress),
              "web: 0 of 2 replaced; web.1 failed: exit 2; the former version keeps serving");
    EXPECT_EQ(progress.take_failures().size(), 1u);
}

TEST(Progress, a_failure_half_way_says_how_far_it_got) {
    Progress progress(
        desired({program("web", 3)}), {},
        table({row("web", 1, "ready", 10), row("web", 2, "ready", 11), row("web", 3, "ready", 12)}), start);
    progress.on(table({outdated(row("web", 1, "ready", 10)), row("web", 1, "starting", 20),
                       outdated(row("web", 2, "ready", 11)), outdated(row("web", 3, "ready", 12))}),
                start);
    progress.on(table({row("web", 1, "ready", 20), outdated(row("web", 2, "ready", 11)),
                       row("web", 2, "backoff", 0, 3, "signal 11 (Segmentation fault)"),
                       outdated(row("web", 3, "ready", 12))}),
                start);
    EXPECT_TRUE(progress.settled());
    EXPECT_EQ(text_of(progress),
              "web: 1 of 3 replaced; web.2 failed: signal 11 (Segmentation fault); the former version keeps "
              "serving");
}

// A worker is stopped before its successor starts.
TEST(Progress, a_worker_whose_successor_fails_is_down_and_the_others_go_on) {
    Progress progress(desired({program("web", 2)}), {}, two_old, start);
    const Json old2 = outdated(row("web", 2, "ready", 11));
    progress.on(table({outdated(row("web", 1, "stopping", 10)), old2}), start);
    EXPECT_FALSE(progress.settled());
    progress.on(table({row("web", 1, "backoff", 0, 3, "exit 2"), old2}), start);
    EXPECT_TRUE(progress.settled());
    EXPECT_EQ(text_of(progress), "web: 0 of 2 replaced; web.1 failed: exit 2; 1 of the former version go on");
}

TEST(Progress, a_rollback_ends_once_the_failed_one_is_gone_and_replaces_nothing) {
    const Json before =
        table({row("web", 1, "ready", 10), row("web", 1, "backoff", 0, 3), row("web", 2, "ready", 11)});
    Progress progress(desired({program("web", 2)}), {}, before, start);
    progress.on(table({row("web", 1, "ready", 10), outdated(row("web", 1, "stopping", 21)),
                       row("web", 2, "ready", 11)}),
                start);
    EXPECT_FALSE(progress.settled());
    progress.on(two_old, start);
    EXPECT_TRUE(progress.ok());
    EXPECT_EQ(progress.outcomes().back().replaced, 0u);
}

TEST(Progress, nothing_lasts_for_ever) {
    Progress progress(desired({program("web", 2)}), {}, two_old, start);
    const Json still = table({outdated(row("web", 1, "ready", 10)), outdated(row("web", 2, "ready", 11))});
    progress.on(still, start);
    EXPECT_FALSE(progress.settled());
    progress.on(still, start + seconds(46));
    EXPECT_FALSE(progress.settled()) << "the parts of the platform are given more";
    progress.on(still, start + seconds(76));
    EXPECT_TRUE(progress.settled());
    EXPECT_FALSE(progress.ok());
}

// --- a slow crash loop

TEST(Progress, what_died_is_ready_only_once_it_has_stayed) {
    Progress progress(desired({program("web")}), {}, Json::array(), start);
    progress.on(table({row("web", 1, "starting", 10)}), start);
    const Json back = table({row("web", 1, "ready", 11, 1, "exit 1")});
    progress.on(back, start + seconds(1));
    EXPECT_FALSE(progress.settled());
    EXPECT_EQ(progress.look_again_at(), start + seconds(1) + steady_time);
    progress.on(back, progress.look_again_at());
    EXPECT_TRUE(progress.ok());
}

TEST(Progress, what_dies_again_and_again_soon_after_it_was_ready_has_failed) {
    Progress progress(desired({program("web"), program("slow")}), {}, Json::array(), start);
    const Json slow = row("slow", 1, "starting", 99);
    Time now = start;
    for (int life = 0; life < 5; ++life, now += milliseconds(1300)) {
        progress.on(table({row("web", 1, "ready", 10 + life, life, life > 0 ? "exit 1" : ""), slow}), now);
    }
    progress.on(table({row("web", 1, "ready", 14, 4, "exit 1"), row("slow", 1, "ready", 99)}), now);
    EXPECT_TRUE(progress.settled());
    EXPECT_EQ(text_of(progress), "web: 0 of 1 ready; web.1 failed: exit 1");
}

TEST(Progress, what_the_supervisor_says_keeps_ending_is_ready_only_once_it_has_stayed) {
    Json flapping = row("web", 1, "ready", 10, 40, "exit 1");
    flapping["failing"] = true;
    const Json before = table({flapping});
    Progress progress(desired({program("web")}), {}, before, start);
    progress.on(before, start);
    EXPECT_FALSE(progress.settled());
    progress.on(before, start + steady_time);
    EXPECT_TRUE(progress.ok());
}

// --- some are asked for: `restart`, `scale`

TEST(Progress, a_third_program_changes_neither_outcome_nor_end_nor_output) {
    const Json bad = row("bad", 1, "backoff", 0, 7, "exit 1");
    Progress progress(desired({program("good"), program("bad")}), {.names = {"good"}},
                      table({row("good", 1, "ready", 10), bad}), start);
    progress.on(table({outdated(row("good", 1, "draining", 10)), row("good", 1, "starting", 20, 1), bad}),
                start);
    EXPECT_FALSE(progress.settled());
    const std::vector<Json> events =
        progress.on(table({row("good", 1, "ready", 20, 1), row("bad", 1, "starting", 30, 8)}), start);
    EXPECT_TRUE(progress.ok());
    EXPECT_TRUE(progress.take_failures().empty());
    for (const Json& event : events) EXPECT_EQ(event["name"], "good");
    ASSERT_EQ(progress.outcomes().size(), 1u);
}

TEST(Progress, the_end_of_what_was_to_be_restarted_is_no_problem) {
    const Json before = table({row("web", 1, "ready", 10)});
    Progress progress(desired({program("web")}), {.names = {"web"}}, before, start);
    progress.on(table({outdated(row("web", 1, "stopping", 10))}), start);
    const std::vector<Json> events = progress.on(table({row("web", 1, "ready", 20, 1)}), start);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0]["pid"], 20);
    EXPECT_TRUE(progress.ok());
}

TEST(Progress, one_instance_is_asked_for_alone) {
    Progress progress(desired({program("web", 2)}), {.names = {"web"}, .instance = 2}, two_old, start);
    progress.on(table({row("web", 1, "starting", 30, 4), outdated(row("web", 2, "ready", 11)),
                       row("web", 2, "starting", 20, 1)}),
                start);
    EXPECT_FALSE(progress.settled());
    progress.on(table({row("web", 1, "starting", 30, 4), row("web", 2, "ready", 20, 1)}), start);
    EXPECT_TRUE(progress.ok());
}

TEST(Progress, an_instance_that_cannot_get_its_turn_is_kept) {
    Progress progress(desired({program("web", 2)}), {.names = {"web"}, .instance = 2}, two_old, start);
    progress.on(table({row("web", 1, "backoff", 0, 4), outdated(row("web", 2, "ready", 11))}), start);
    EXPECT_TRUE(progress.settled());
    EXPECT_FALSE(progress.ok());
}

TEST(Progress, what_it_depends_on_is_named_although_it_was_not_asked_for) {
    Progress progress(desired({program("web"), program("front", 1, {"web"})}), {.names = {"front"}},
                      table({}), start);
    progress.on(table({row("front", 1, "waiting", 0), row("web", 1, "backoff", 0, 3)}), start);
    EXPECT_TRUE(progress.settled());
    EXPECT_EQ(text_of(progress), "front: 0 of 1 ready; front.1 waits for web, which is not ready");
}

TEST(Progress, scaled_down_to_nothing_is_over_when_the_last_is_gone) {
    Progress progress(desired({program("web", 0)}), {.names = {"web"}}, table({row("web", 1, "ready", 10)}),
                      start);
    progress.on(table({outdated(row("web", 1, "draining", 10))}), start);
    EXPECT_FALSE(progress.settled());
    progress.on(table({}), start);
    EXPECT_TRUE(progress.ok());
}

TEST(Progress, a_part_is_restarted_when_another_process_is_ready) {
    for (const char* part : {"keeper", "supervisor"}) {
        Progress progress(desired({}), {.names = {part}}, table({}), start);
        progress.on(table({}), start);
        EXPECT_FALSE(progress.settled()) << part;
        Json after = table({});
        for (Json& one : after) {
            if (one["name"] == part) one["pid"] = 77;
        }
        progress.on(after, start);
        EXPECT_TRUE(progress.ok()) << part;
    }
}

TEST(Progress, a_broker_that_recovers_is_given_its_time_but_not_for_ever) {
    Progress progress(desired({}), {.names = {"broker"}}, table({}), start);
    Json recovering = Json::array({row("broker", 1, "starting", 50, 1)});
    progress.on(recovering, start);
    progress.on(recovering, start + seconds(50));
    EXPECT_FALSE(progress.settled());
    progress.on(recovering, start + seconds(90));
    EXPECT_TRUE(progress.settled());
    EXPECT_FALSE(progress.ok());
}

// --- parts that do not take their configuration

const std::map<std::string, Error> refusing{
    {"broker", {Error::Kind::conflict, "'orders' is in the way", "delete it"}}};

TEST(Progress, a_part_that_refuses_its_configuration_is_named_with_cause_and_remedy) {
    Progress progress(desired({program("web")}), {}, table({}), start);
    progress.on(table({row("web", 1, "ready", 10)}), start, refusing);
    EXPECT_FALSE(progress.settled()) << "what is in the way may go with the change";
    EXPECT_LE(progress.look_again_at(), start + refused_time);
    progress.on(table({row("web", 1, "ready", 10)}), start + refused_time, refusing);
    EXPECT_TRUE(progress.settled());
    EXPECT_FALSE(progress.ok());
    EXPECT_TRUE(progress.refused("broker"));
    EXPECT_EQ(text_of(progress), "broker: refuses its configuration: 'orders' is in the way\n  delete it");
    EXPECT_TRUE(progress.take_failures().empty()) << "it did not end: it has no last words";
}

TEST(Progress, a_refusal_counts_from_the_last_movement_on) {
    Progress progress(desired({program("web")}), {}, table({}), start);
    progress.on(table({row("web", 1, "starting", 10)}), start, refusing);
    progress.on(table({row("web", 1, "ready", 10)}), start + seconds(20), refusing);
    EXPECT_FALSE(progress.settled());
    progress.on(table({row("web", 1, "ready", 10)}), start + seconds(21));
    EXPECT_TRUE(progress.ok()) << "what was in the way went with the change";
}

TEST(Progress, a_part_that_never_got_a_configuration_it_takes_is_no_riddle) {
    Progress progress(desired({}), {.names = {"broker"}}, Json::array(), start);
    Json starting = Json::array({row("broker", 1, "starting", 50)});
    starting[0]["kind"] = "platform";
    progress.on(starting, start, refusing);
    progress.on(starting, start + refused_time, refusing);
    EXPECT_EQ(text_of(progress), "broker: refuses its configuration: 'orders' is in the way\n  delete it");
}

TEST(Progress, a_refusal_is_nothing_to_whoever_asked_for_something_else) {
    Progress progress(desired({program("web")}), {.names = {"web"}}, table({}), start);
    progress.on(table({row("web", 1, "ready", 10)}), start, refusing);
    EXPECT_TRUE(progress.ok());
}

TEST(Progress, rows_that_make_no_sense_are_passed_over) {
    Progress progress(desired({program("web")}), {}, Json::array({1, "x", nullptr}), start);
    progress.on(Json::array({1, Json::object(), {{"name", 3}, {"pid", "x"}, {"instance", -4}}}), start);
    EXPECT_FALSE(progress.settled());
}

// --- several applications

supervisor::Program program_of(const std::string& app, const std::string& name,
                               std::vector<std::string> depends_on = {}) {
    supervisor::Program made = program(name, 1, std::move(depends_on));
    made.app = app;
    return made;
}

Json row_of(const std::string& app, Json row) {
    row["app"] = app;
    return row;
}

TEST(Progress, programs_of_one_name_in_two_applications_are_two) {
    Progress progress(desired({program_of("bakery", "web"), program_of("shop", "web")}),
                      {.names = {"shop/web"}}, Json::array(), start);
    progress.on(
        table({row_of("bakery", row("web", 1, "ready", 10)), row_of("shop", row("web", 1, "starting", 11))}),
        start);
    EXPECT_FALSE(progress.settled()) << "the other one being ready is no matter";
    progress.on(
        table({row_of("bakery", row("web", 1, "backoff", 0)), row_of("shop", row("web", 1, "ready", 11))}),
        start);
    EXPECT_TRUE(progress.ok());
    EXPECT_EQ(progress.outcomes().front().name, "shop/web");
    EXPECT_EQ(progress.services(), std::set<std::string>{"shop/web"});
}

TEST(Progress, a_dependency_is_one_of_the_same_application) {
    Progress progress(
        desired({program_of("bakery", "api"), program_of("shop", "api"), program_of("shop", "web", {"api"})}),
        {.names = {"shop/web"}}, Json::array(), start);
    progress.on(
        table({row_of("bakery", row("api", 1, "backoff", 0)), row_of("shop", row("api", 1, "starting", 11)),
               row_of("shop", row("web", 1, "waiting", 0))}),
        start);
    EXPECT_FALSE(progress.settled()) << "its own api is on its way";
    progress.on(
        table({row_of("bakery", row("api", 1, "ready", 10)), row_of("shop", row("api", 1, "backoff", 0)),
               row_of("shop", row("web", 1, "waiting", 0))}),
        start);
    EXPECT_TRUE(progress.settled());
    EXPECT_EQ(text_of(progress), "shop/web: 0 of 1 ready; shop/web.1 waits for shop/api, which is not ready");
}

}  // namespace
}  // namespace havn::control
