#include "control/core/components.h"

#include <gtest/gtest.h>

namespace havn::control {
namespace {

constexpr Time an_hour = Time(std::chrono::hours(1));

Compiled anything(bool embedded_broker = true) {
    Compiled compiled;
    compiled.supervisor.embedded_broker = embedded_broker;
    return compiled;
}

Json row(const char* name, int pid, const char* state = "ready") {
    return {{"name", name}, {"instance", 1}, {"kind", "platform"}, {"pid", pid}, {"state", state}};
}

const Error refusal{Error::Kind::conflict, "'orders' is in the way", "delete it"};
const Error deaf{Error::Kind::unavailable, "nobody listens", {}};

// Tells everybody who has to be told now, with the same answer; returns how often somebody was.
int tell(Components& components, Time now, Result<> answer = {}) {
    int asked = 0;
    while (std::optional<Components::Update> update = components.next(now)) {
        components.answered(*update, answer, now);
        if (++asked > 10) break;
    }
    return asked;
}

TEST(Components, each_is_told_once_and_its_successor_anew) {
    Components components;
    components.set(anything());
    EXPECT_EQ(components.due(), Time::max()) << "nobody runs";
    components.on_table(Json::array({row("gateway", 10), row("broker", 11, "starting")}));
    EXPECT_EQ(tell(components, an_hour), 2);
    EXPECT_TRUE(components.knows("gateway") && components.knows("broker"));
    components.on_table(Json::array({row("gateway", 12), row("broker", 11)}));
    EXPECT_EQ(tell(components, an_hour), 1);
    components.set(anything());
    EXPECT_EQ(tell(components, an_hour), 2);
}

TEST(Components, a_broker_elsewhere_is_not_told) {
    Components components;
    components.set(anything(false));
    components.on_table(Json::array({row("gateway", 10), row("broker", 11)}));
    EXPECT_EQ(tell(components, an_hour), 1);
    EXPECT_TRUE(components.knows("broker"));
}

TEST(Components, one_that_does_not_listen_yet_is_asked_again_at_once_and_refuses_nothing) {
    Components components;
    components.set(anything(false));
    components.on_table(Json::array({row("gateway", 10, "starting")}));
    EXPECT_EQ(tell(components, an_hour, std::unexpected(deaf)), 1);
    EXPECT_TRUE(components.refusals().empty());
    EXPECT_LE(components.due(), an_hour + milliseconds(20));
    EXPECT_EQ(tell(components, components.due()), 1);
}

TEST(Components, one_that_refuses_is_asked_again_after_growing_pauses) {
    Components components;
    components.set(anything(false));
    components.on_table(Json::array({row("gateway", 10)}));
    Time now = an_hour;
    for (const Duration pause : {seconds(1), seconds(2), seconds(4), seconds(8), seconds(10), seconds(10)}) {
        EXPECT_EQ(tell(components, now, std::unexpected(refusal)), 1);
        EXPECT_EQ(components.refusals().at("gateway").text(), refusal.text());
        EXPECT_EQ(components.due(), now + pause);
        now = components.due();
    }
    components.on_table(Json::array({row("gateway", 10), row("web", 20)}));
    EXPECT_EQ(components.due(), now - seconds(10) + seconds(1)) << "something changed";
    components.try_again();
    EXPECT_EQ(tell(components, now), 1);
    EXPECT_TRUE(components.refusals().empty());
}

TEST(Components, a_cause_is_logged_when_it_changes) {
    Components components;
    components.set(anything(false));
    components.on_table(Json::array({row("gateway", 10)}));
    const auto note = [&](const Result<>& answer) {
        components.try_again();
        return components.answered(components.next(an_hour).value(), answer, an_hour).line;
    };
    EXPECT_NE(note(std::unexpected(refusal)).find("'orders' is in the way"), std::string::npos);
    EXPECT_EQ(note(std::unexpected(refusal)), "");
    EXPECT_NE(note({}), "");
}

TEST(Components, the_answer_to_a_former_configuration_means_nothing) {
    Components components;
    components.set(anything(false));
    components.on_table(Json::array({row("gateway", 10)}));
    const Components::Update former = *components.next(an_hour);
    components.set(anything(false));
    components.answered(former, {}, an_hour);
    EXPECT_FALSE(components.knows("gateway"));
}

TEST(Components, a_table_of_anything_is_read) {
    Components components;
    components.set(anything());
    components.on_table(Json::array(
        {1, Json::object(), {{"name", 3}, {"kind", "platform"}, {"state", "ready"}}, row("gateway", -1)}));
    EXPECT_EQ(tell(components, an_hour), 0);
}

TEST(Components, the_gateway_follows_when_it_knows_every_ready_instance) {
    const auto web = [](int port) {
        return Json{{"name", "web"}, {"kind", "service"}, {"state", "ready"}, {"port", port}};
    };
    const Json rows = Json::array({web(20'001), web(20'002)});
    const Json both{{"web", {"127.0.0.1:20001", "127.0.0.1:20002"}}}, one{{"web", {"127.0.0.1:20001"}}};
    EXPECT_TRUE(gateway_follows(both, rows, {}));
    EXPECT_FALSE(gateway_follows(one, rows, {}));
    EXPECT_TRUE(gateway_follows(one, rows, {"api"}));
    EXPECT_FALSE(gateway_follows(Json(), rows, {"web"}));
}

}  // namespace
}  // namespace havn::control
