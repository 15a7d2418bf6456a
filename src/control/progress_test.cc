#include "control/progress.h"

#include <gtest/gtest.h>

namespace havn::control {
namespace {

constexpr Time start{};

supervisor::Program program(const std::string& name, std::uint32_t instances = 1) {
    supervisor::Program program;
    program.name = name;
    program.instances = instances;
    program.command = "run " + name;
    program.start_timeout = seconds(30);
    return program;
}

supervisor::Desired desired(std::vector<supervisor::Program> programs) {
    supervisor::Desired desired;
    desired.programs = std::move(programs);
    return desired;
}

Json row(const std::string& name, int instance, const std::string& state, int pid, int restarts = 0) {
    return {{"name", name}, {"instance", instance}, {"kind", "service"},
            {"pid", pid},   {"state", state},       {"restarts", restarts}};
}

Json table(std::vector<Json> rows) {
    Json all = rows;
    for (const char* part : {"gateway", "broker", "control"}) {
        Json own = row(part, 1, "ready", 1);
        own["kind"] = "platform";
        all.push_back(own);
    }
    return all;
}

TEST(Progress, is_done_when_all_instances_are_ready) {
    Progress progress(desired({program("web", 2)}), Json::array(), {}, start);
    progress.on(table({row("web", 1, "ready", 10), row("web", 2, "starting", 11)}), start);
    EXPECT_FALSE(progress.done());
    progress.on(table({row("web", 1, "ready", 10), row("web", 2, "ready", 11)}), start);
    EXPECT_TRUE(progress.done());
}

TEST(Progress, is_not_done_before_the_first_row_appears) {
    Progress progress(desired({program("web")}), Json::array(), {}, start);
    progress.on(table({}), start);
    EXPECT_FALSE(progress.done());
}

TEST(Progress, waits_for_the_parts_of_the_platform) {
    Progress progress(desired({}), Json::array(), {}, start);
    progress.on(Json::array(), start);
    EXPECT_FALSE(progress.done());
    progress.on(table({}), start);
    EXPECT_TRUE(progress.done());
}

TEST(Progress, a_replaced_program_is_not_ready_while_its_old_process_is) {
    const Json before = table({row("web", 1, "ready", 10)});
    Progress progress(desired({program("web")}), before, {10}, start);
    progress.on(before, start);
    EXPECT_FALSE(progress.done());
    progress.on(table({row("web", 1, "draining", 10), row("web", 1, "ready", 20)}), start);
    EXPECT_FALSE(progress.done());
    progress.on(table({row("web", 1, "ready", 20)}), start);
    EXPECT_TRUE(progress.done());
}

TEST(Progress, waits_until_what_was_removed_is_gone) {
    const Json before = table({row("old", 1, "ready", 10)});
    Progress progress(desired({}), before, {}, start);
    progress.on(before, start);
    EXPECT_FALSE(progress.done());
    progress.on(table({}), start);
    EXPECT_TRUE(progress.done());
}

TEST(Progress, tells_each_change_once_and_each_death_with_its_reason) {
    Progress progress(desired({program("web")}), Json::array(), {}, start);
    std::vector<Json> events = progress.on(table({row("web", 1, "starting", 10)}), start);
    EXPECT_EQ(events[0]["state"], "starting");
    EXPECT_TRUE(progress.on(table({row("web", 1, "starting", 10)}), start).empty());
    Json died = row("web", 1, "starting", 11, 1);
    died["exit"] = "exit 1";
    events = progress.on(table({died}), start);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[1]["event"], "problem");
    EXPECT_EQ(events[1]["message"], "it ended with exit 1");
    EXPECT_FALSE(progress.failed());
}

TEST(Progress, backoff_after_the_quick_retries_is_a_failure_and_is_told_once) {
    Progress progress(desired({program("web")}), Json::array(), {}, start);
    progress.on(table({row("web", 1, "backoff", 0, 1)}), start);
    EXPECT_FALSE(progress.failed());
    Json last = row("web", 1, "backoff", 0, 3);
    last["exit"] = "exit 127";
    progress.on(table({last}), start);
    EXPECT_TRUE(progress.failed());
    const std::vector<Progress::Failure> failures = progress.take_failures();
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0].name, "web");
    EXPECT_EQ(failures[0].reason, "it ended with exit 127");
    progress.on(table({last}), start);
    EXPECT_TRUE(progress.take_failures().empty());
}

TEST(Progress, lives_before_the_change_do_not_count_against_it) {
    const Json before = table({row("web", 1, "backoff", 0, 9)});
    Progress progress(desired({program("web")}), before, {}, start);
    progress.on(before, start);
    progress.on(table({row("web", 1, "backoff", 0, 11)}), start);
    EXPECT_FALSE(progress.failed());
    progress.on(table({row("web", 1, "backoff", 0, 12)}), start);
    EXPECT_TRUE(progress.failed());
}

TEST(Progress, after_a_failure_the_others_are_waited_for_until_they_settle) {
    Progress progress(desired({program("web"), program("cart"), program("front")}), Json::array(), {}, start);
    const Json failing = row("web", 1, "backoff", 0, 3), waiting = row("front", 1, "waiting", 0);
    progress.on(table({failing, row("cart", 1, "starting", 20), waiting}), start);
    EXPECT_TRUE(progress.failed());
    EXPECT_FALSE(progress.settled());
    progress.on(table({failing, row("cart", 1, "ready", 20), waiting}), start);
    EXPECT_TRUE(progress.settled());
    EXPECT_FALSE(progress.done());
}

TEST(Progress, a_program_that_was_restarted_for_not_getting_ready_in_time_has_failed) {
    Progress progress(desired({program("web")}), Json::array(), {}, start);
    progress.on(table({row("web", 1, "starting", 10)}), start);
    Json again = row("web", 1, "starting", 11, 1);
    again["error"] = "not ready within 30 s";
    progress.on(table({again}), start + seconds(31));
    const std::vector<Progress::Failure> failures = progress.take_failures();
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0].reason, "not ready within 30 s");
}

TEST(Progress, the_end_of_what_was_to_go_is_no_problem) {
    const Json before = table({row("web", 1, "ready", 10)});
    Progress progress(desired({program("web")}), before, Progress::pids_of(before, {"web"}, 0), start);
    const std::vector<Json> events = progress.on(table({row("web", 1, "ready", 20, 1)}), start);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0]["pid"], 20);
    EXPECT_TRUE(progress.done());
}

TEST(Progress, pids_are_those_of_the_names_and_the_instance) {
    const Json rows =
        table({row("web", 1, "ready", 10), row("web", 2, "ready", 11), row("cart", 1, "backoff", 0)});
    EXPECT_EQ(Progress::pids_of(rows, {"web", "cart"}, 0), (std::set<int>{10, 11}));
    EXPECT_EQ(Progress::pids_of(rows, {"web"}, 2), std::set<int>{11});
}

TEST(Progress, a_change_of_instances_replaces_nothing) {
    const supervisor::Desired from = desired({program("web", 1), program("cart", 1)});
    supervisor::Desired to = desired({program("web", 3), program("cart", 1), program("new", 1)});
    EXPECT_TRUE(Progress::replaced(from, to).empty());
    to.programs[1].environment["A"] = "b";
    EXPECT_EQ(Progress::replaced(from, to), std::set<std::string>{"cart"});
}

}  // namespace
}  // namespace havn::control
