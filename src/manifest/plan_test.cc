#include "manifest/plan.h"

#include <gtest/gtest.h>

#include "manifest/manifest.h"

namespace havn::manifest {
namespace {

constexpr const char* base = R"toml(
app = "shop"
[service.web]
command = "web"
instances = 2
[service.auth]
command = "auth"
healthcheck = { path = "/up" }
[worker.mail]
command = "mail"
queue = "mails"
[queue.mails]
max_attempts = 3
[route."/"]
service = "web"
)toml";

Manifest read(std::string text) {
    auto parsed = parse_toml(text, "havn.toml");
    EXPECT_TRUE(parsed.manifest) << render(parsed.diagnostics, {});
    return parsed.manifest.value_or(Manifest{});
}

// `base` with one piece of text replaced.
Manifest changed(std::string_view from, std::string_view to) {
    std::string text(base);
    const std::size_t at = text.find(from);
    EXPECT_NE(at, text.npos) << from;
    return read(text.replace(at, from.size(), to));
}

std::string plan_of(std::string_view from, std::string_view to) {
    return render(diff(read(base), changed(from, to)));
}

TEST(Plan, of_what_is_applied_already_says_no_changes) {
    EXPECT_TRUE(diff(read(base), read(base)).empty());
    EXPECT_EQ(render(diff(read(base), read(base))), "no changes\n");
    EXPECT_TRUE(diff(manifest_from_json(to_json(read(base))).value(), read(base)).empty());
}

TEST(Plan, of_the_first_time_adds_everything) {
    EXPECT_EQ(render(diff(std::nullopt, read(base))),
              "+ app\n"
              "    app = \"shop\"\n"
              "+ gateway\n"
              "    → listens on [\"0.0.0.0:8080\"]\n"
              "+ broker\n"
              "    → listens on [\"127.0.0.1:5672\"]; guest may log in from this host only\n"
              "+ queue.mails\n"
              "    max_attempts = 3\n"
              "    → declares a durable queue\n"
              "+ service.auth\n"
              "    command = \"auth\"\n"
              "    healthcheck = { interval = \"1s\", path = \"/up\", retries = 3, timeout = \"1s\" }\n"
              "    → starts 1 instance\n"
              "+ service.web\n"
              "    command = \"web\"\n"
              "    instances = 2\n"
              "    → starts 2 instances\n"
              "+ worker.mail\n"
              "    command = \"mail\"\n"
              "    queue = \"mails\"\n"
              "    → starts 1 instance\n"
              "+ route./\n"
              "    service = \"web\"\n"
              "    → applies to new requests\n"
              "8 to add, 0 to change, 0 to remove\n");
}

TEST(Plan, of_a_command_restarts_that_program_alone) {
    EXPECT_EQ(plan_of("command = \"web\"", "command = \"web --fast\""),
              "~ service.web\n"
              "    command: \"web\" → \"web --fast\"\n"
              "    → restarts web (2 instances), one after the other\n"
              "0 to add, 1 to change, 0 to remove\n");
    EXPECT_EQ(plan_of("command = \"mail\"", "command = \"mail\"\nenv = { A = \"b\" }"),
              "~ worker.mail\n"
              "    env.A = (set)\n"
              "    → restarts mail (1 instance)\n"
              "0 to add, 1 to change, 0 to remove\n");
}

TEST(Plan, of_the_number_of_instances_touches_no_running_one) {
    EXPECT_EQ(plan_of("instances = 2", "instances = 3"),
              "~ service.web\n"
              "    instances: 2 → 3\n"
              "    → starts 1 more instance; running ones are not touched\n"
              "0 to add, 1 to change, 0 to remove\n");
    EXPECT_EQ(plan_of("instances = 2", "instances = 0"),
              "~ service.web\n"
              "    instances: 2 → 0\n"
              "    → stops 2 instances\n"
              "0 to add, 1 to change, 0 to remove\n");
}

TEST(Plan, of_fewer_instances_stops_only_the_rest) {
    EXPECT_EQ(plan_of("instances = 2", "instances = 1"),
              "~ service.web\n"
              "    instances: 2 → 1\n"
              "    → stops 1 instance; the others are not touched\n"
              "0 to add, 1 to change, 0 to remove\n");
}

TEST(Plan, of_both_restarts_those_that_stay) {
    EXPECT_EQ(plan_of("command = \"web\"\ninstances = 2", "command = \"w\"\ninstances = 5"),
              "~ service.web\n"
              "    command: \"web\" → \"w\"\n"
              "    instances: 2 → 5\n"
              "    → restarts web (2 instances), one after the other\n"
              "    → starts 3 more instances\n"
              "0 to add, 1 to change, 0 to remove\n");
}

TEST(Plan, of_what_only_the_gateway_does_restarts_nothing) {
    EXPECT_EQ(plan_of("service = \"web\"", "service = \"web\"\nbalance = \"least_conn\"\ntimeout = \"5s\""),
              "~ service.web\n"
              "    balance: \"round_robin\" → \"least_conn\"\n"
              "    → applies to new requests\n"
              "~ route./\n"
              "    balance = \"least_conn\"\n"
              "    timeout = \"5s\"\n"
              "    → applies to new requests\n"
              "0 to add, 2 to change, 0 to remove\n");
}

TEST(Plan, of_what_is_only_recorded_has_no_effect) {
    EXPECT_EQ(plan_of("command = \"web\"", "command = \"web\"\nmemory = \"1G\""),
              "~ service.web\n"
              "    memory = \"1G\"\n"
              "0 to add, 1 to change, 0 to remove\n");
}

TEST(Plan, of_a_nested_table_names_the_key_or_shows_it_whole) {
    EXPECT_EQ(plan_of("{ path = \"/up\" }", "{ path = \"/ok\" }"),
              "~ service.auth\n"
              "    healthcheck.path: \"/up\" → \"/ok\"\n"
              "    → restarts auth (1 instance)\n"
              "0 to add, 1 to change, 0 to remove\n");
    EXPECT_EQ(
        plan_of("healthcheck = { path = \"/up\" }", ""),
        "~ service.auth\n"
        "    healthcheck: { interval = \"1s\", path = \"/up\", retries = 3, timeout = \"1s\" } → (none)\n"
        "    → restarts auth (1 instance)\n"
        "0 to add, 1 to change, 0 to remove\n");
}

TEST(Plan, of_a_route_that_becomes_a_queue_shows_only_what_holds_now) {
    EXPECT_EQ(plan_of("service = \"web\"", "queue = \"mails\""),
              "~ route./\n"
              "    service: \"web\" → (none)\n"
              "    queue = \"mails\"\n"
              "    connect_timeout: \"1s\" → (none)\n"
              "    tunnel_timeout: \"1h\" → (none)\n"
              "    max_body = \"16M\"\n"
              "    headers = []\n"
              "    → applies to new requests\n"
              "0 to add, 1 to change, 0 to remove\n");
}

TEST(Plan, never_shows_the_password_of_a_user_of_the_broker) {
    const std::string start(base);
    const std::string text = render(diff(read(start + "\n[broker.users]\na = \"old-secret\"\n"),
                                         read(start + "\n[broker.users]\na = \"new-secret\"\n")));
    EXPECT_EQ(text.find("secret"), text.npos) << text;
    EXPECT_NE(text.find("users"), text.npos) << text;
}

TEST(Plan, of_another_broker_restarts_whatever_has_its_address) {
    EXPECT_EQ(plan_of("[queue.mails]", "[broker]\nlisten = [\"127.0.0.1:5673\"]\n[queue.mails]"),
              "~ broker\n"
              "    listen: [\"127.0.0.1:5672\"] → [\"127.0.0.1:5673\"]\n"
              "    → restarts every service and worker: their $AMQP_URL changes\n"
              "0 to add, 1 to change, 0 to remove\n");
}

TEST(Plan, of_an_address_for_metrics_opens_it) {
    EXPECT_EQ(plan_of("[queue.mails]", "[metrics]\nlisten = [\"127.0.0.1:9464\"]\n[queue.mails]"),
              "~ metrics\n"
              "    listen: [] → [\"127.0.0.1:9464\"]\n"
              "    → opens and closes listening sockets of /metrics\n"
              "0 to add, 1 to change, 0 to remove\n");
    const std::string first = render(diff(
        std::nullopt, changed("[queue.mails]", "[metrics]\nlisten = [\"127.0.0.1:9464\"]\n[queue.mails]")));
    EXPECT_NE(first.find("+ metrics\n"
                         "    listen = [\"127.0.0.1:9464\"]\n"
                         "    → answers GET /metrics on [\"127.0.0.1:9464\"]\n"),
              first.npos)
        << first;
}

TEST(Plan, lists_what_goes_after_what_comes) {
    const auto plan =
        diff(read(base), read("app = \"shop\"\n[service.web]\ncommand = \"web\"\ninstances = 2\n"
                              "[worker.clock]\ncommand = \"clock\"\n"));
    EXPECT_EQ(render(plan),
              "+ worker.clock\n"
              "    command = \"clock\"\n"
              "    → starts 1 instance\n"
              "- queue.mails\n"
              "    → the queue and its messages stay; without the limits of the manifest\n"
              "- service.auth\n"
              "    → stops 1 instance\n"
              "- worker.mail\n"
              "    → stops 1 instance\n"
              "- route./\n"
              "    → applies to new requests\n"
              "1 to add, 0 to change, 4 to remove\n");
}

TEST(Plan, as_json_has_the_same_in_fields) {
    EXPECT_EQ(to_json(diff(read(base), changed("instances = 2", "instances = 3"))),
              Json::parse(R"({"changes": [{
        "action": "change", "subject": "service.web",
        "details": [{"key": "instances", "from": "2", "to": "3"}],
        "effects": ["starts 1 more instance; running ones are not touched"]}]})"));
    EXPECT_EQ(to_json(Plan{}), Json::parse(R"({"changes": []})"));
}

}  // namespace
}  // namespace havn::manifest
