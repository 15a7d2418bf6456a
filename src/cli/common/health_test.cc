#include "cli/common/health.h"

#include <gtest/gtest.h>

namespace havn::cli {
namespace {

const WallTime noon{std::chrono::seconds(1'000'000'000)};  // 2001-09-09T01:46:40Z

Json row(const std::string& state, Json more = Json::object()) {
    Json row{{"name", "web"}, {"instance", 1}, {"state", state}, {"since", "2001-09-09T01:46:30.123Z"}};
    row.update(more);
    return row;
}

TEST(Health, all_is_well_when_all_that_is_wanted_is_ready) {
    EXPECT_TRUE(complaints_about(Json::array(), noon).empty());
    EXPECT_TRUE(complaints_about(Json::array({row("ready")}), noon).empty());
    EXPECT_TRUE(
        complaints_about(Json::array({row("ready"), row("draining", {{"outdated", true}})}), noon).empty());
    for (const char* state : {"backoff", "unready", "starting", "waiting"}) {
        EXPECT_EQ(complaints_about(Json::array({row(state, {{"exit", "exit 2"}})}), noon),
                  std::vector<std::string>{std::string("web.1 is ") + state + ": exit 2"});
    }
}

TEST(Health, what_keeps_ending_is_not_well_although_it_is_ready_now) {
    EXPECT_EQ(complaints_about(Json::array({row("ready", {{"failing", true}, {"exit", "exit 1"}})}), noon),
              std::vector<std::string>{"web.1 is ready, but keeps ending: exit 1"});
    EXPECT_TRUE(
        complaints_about(Json::array({row("ready", {{"failing", true}})}), noon + std::chrono::minutes(2))
            .empty());
}

TEST(Health, a_broker_that_holds_publishers_back_is_not_well) {
    const Json rows = Json::array({row("ready", {{"broker", {{"held_back", true}}}})});
    EXPECT_FALSE(complaints_about(rows, noon).empty());
    EXPECT_NE(broker_lines(rows).front().find("held back"), std::string::npos);
    EXPECT_EQ(broker_lines(Json::array(
                  {row("ready", {{"broker", {{"held_back", true}, {"reason", "no space"}}}})}))[0],
              "broker: no space; publishers are held back until that has passed");
    EXPECT_FALSE(
        complaints_about(Json::array({row("ready", {{"broker", {{"read_failure", "EIO"}}}})}), noon).empty());
    EXPECT_TRUE(broker_lines(Json::array({row("ready", {{"broker", {{"held_back", false}}}})})).empty());
    EXPECT_EQ(
        broker_lines(Json::array({row("ready", {{"broker", {{"message", "the broker does not answer"}}}})})),
        std::vector<std::string>{"broker: the broker does not answer"});
}

TEST(Health, a_gateway_that_refuses_others_is_not_well) {
    const auto rows = [](bool unwell) {
        const Json memory{{"cause", "memory"}, {"message", "the memory is full"}, {"unwell", unwell}};
        return Json::array({row("ready", {{"gateway", {{"short_of", Json::array({memory})}}}})});
    };
    const std::vector<std::string> lines{"gateway: the memory is full"};
    EXPECT_EQ(gateway_lines(rows(true)), lines);
    EXPECT_EQ(complaints_about(rows(true), noon), lines);
    EXPECT_EQ(gateway_lines(rows(false)), lines);  // said, and all is well
    EXPECT_TRUE(complaints_about(rows(false), noon).empty());
    const Json silent =
        Json::array({row("ready", {{"gateway", {{"message", "the gateway does not answer"}}}})});
    EXPECT_EQ(complaints_about(silent, noon),
              std::vector<std::string>{"gateway: the gateway does not answer"});
    gateway_lines(Json::array({row("ready", {{"gateway", {{"short_of", {1, "x"}}}}})}));
}

TEST(Health, a_part_that_refuses_its_configuration_is_not_well) {
    const Json refuses{{"message", "'orders' is in the way"}, {"remedy", "delete it"}};
    const Json rows = Json::array({row("ready", {{"name", "broker"}, {"refuses", refuses}})});
    const std::vector<std::string> lines{
        "broker refuses its configuration: 'orders' is in the way\n  delete it"};
    EXPECT_EQ(complaints_about(rows, noon), lines);
    EXPECT_EQ(note_of(rows[0], noon), "refuses its configuration");
    EXPECT_TRUE(refusal_lines(Json::array({row("ready", {{"refuses", "odd"}})})).empty());
}

TEST(Health, clients_that_do_not_read_are_named_and_no_complaint) {
    const Json rows = Json::array({row("ready", {{"broker", {{"connections_not_read", 2}}}})});
    ASSERT_EQ(broker_notes(rows).size(), 1u);
    EXPECT_NE(broker_notes(rows)[0].find("2 of its clients"), std::string::npos);
    EXPECT_TRUE(complaints_about(rows, noon).empty());
    EXPECT_TRUE(
        broker_notes(Json::array({row("ready", {{"broker", {{"connections_not_read", 0}}}}), row("ready")}))
            .empty());
}

TEST(Health, a_row_says_how_the_last_life_ended_and_what_comes_next) {
    EXPECT_EQ(since_of(row("ready"), noon), "10s");
    EXPECT_EQ(since_of(Json::object(), noon), "-");
    EXPECT_EQ(last_exit_of(row("ready"), noon), "");
    const Json ended = row("backoff", {{"exit", "signal 9 (Killed)"},
                                       {"exited_at", "2001-09-09T01:43:40Z"},
                                       {"retry_at", "2001-09-09T01:46:45Z"}});
    EXPECT_EQ(last_exit_of(ended, noon), "signal 9 (Killed), 3m ago");
    EXPECT_EQ(note_of(ended, noon), "next start in 5s");
    EXPECT_EQ(note_of(row("waiting", {{"waits_for", {"api", "db"}}}), noon), "waits for api, db");
    EXPECT_EQ(note_of(row("ready", {{"outdated", true}}), noon), "gives way");
}

TEST(Health, what_is_no_row_is_passed_over) {
    const Json odd = Json::array({1, "x", Json::object(), {{"name", 3}, {"since", 4}, {"broker", "x"}}});
    broker_lines(odd);
    broker_notes(odd);
    complaints_about(odd, noon);
    for (const Json& one : odd) {
        if (one.is_object()) note_of(one, noon);
    }
}

}  // namespace
}  // namespace havn::cli
