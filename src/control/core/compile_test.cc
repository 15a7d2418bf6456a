#include "control/core/compile.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "manifest/manifest.h"

namespace havn::control {
namespace {

manifest::Manifest parse(std::string_view text) {
    manifest::Parsed parsed = manifest::parse_toml(text, "havn.toml");
    EXPECT_TRUE(parsed.manifest) << manifest::render(parsed.diagnostics, {});
    return std::move(*parsed.manifest);
}

const char* const shop = R"(
app = "shop"
[service.store-front]
command = "python3 storefront.py"
instances = 2
directory = "web"
depends_on = ["cart"]
env = { DEBUG = "1" }
[service.cart]
command = "python3 cart.py"
healthcheck = { path = "/up", interval = "2s" }
[worker.invoice]
command = "python3 invoice.py"
queue = "invoices"
depends_on = ["store-front"]
[queue.invoices]
max_attempts = 5
backoff = "1s..5m"
[route."/"]
service = "store-front"
balance = "least_conn"
[route."/buy"]
methods = ["POST"]
queue = "invoices"
)";

Placement placement() {
    return {7,
            "/srv/shop",
            {{"cart", "127.0.0.1:28001"}, {"store-front", "127.0.0.1:28002"}, {"slow", "127.0.0.1:28003"}},
            "s3cret"};
}

Compiled compiled(std::string_view text) {
    Result<Compiled> result = compile(parse(text), placement());
    EXPECT_TRUE(result) << result.error().text();
    return std::move(*result);
}

const supervisor::Program& program(const Compiled& compiled, std::string_view name) {
    return *std::ranges::find(compiled.supervisor.programs, name, &supervisor::Program::name);
}

TEST(Compile, calls_by_the_services_own_address_have_deadlines_of_the_service) {
    const Compiled all =
        compiled(std::string(shop) +
                 "[service.slow]\ncommand = \"slow\"\n"
                 "connect_timeout = \"2s\"\nidle_timeout = \"5m\"\ntunnel_timeout = \"2h\"\n");
    const auto slow = std::ranges::find(all.gateway.upstreams, "slow", &gateway::UpstreamConfig::name);
    ASSERT_NE(slow, all.gateway.upstreams.end());
    EXPECT_EQ(slow->connect_timeout, seconds(2));
    EXPECT_EQ(slow->idle_timeout, std::chrono::minutes(5));
    EXPECT_EQ(slow->tunnel_timeout, std::chrono::hours(2));
}

TEST(Compile, an_instance_finds_the_broker_and_what_it_depends_on) {
    const Compiled all = compiled(shop);
    const std::map<std::string, std::string> expected{{"AMQP_URL", "amqp://havn:s3cret@127.0.0.1:5672/"},
                                                      {"CART_URL", "http://127.0.0.1:28001"},
                                                      {"DEBUG", "1"},
                                                      {"HAVN_APP", "shop"}};
    EXPECT_EQ(program(all, "store-front").environment, expected);
    EXPECT_EQ(program(all, "invoice").environment.at("STORE_FRONT_URL"), "http://127.0.0.1:28002");
    EXPECT_FALSE(program(all, "cart").environment.contains("STORE_FRONT_URL"));
}

TEST(Compile, the_manifests_own_environment_wins) {
    const Compiled all =
        compiled("[service.cart]\ncommand = 'x'\nenv = { AMQP_URL = 'amqp://elsewhere/' }\n");
    EXPECT_EQ(program(all, "cart").environment.at("AMQP_URL"), "amqp://elsewhere/");
}

TEST(Compile, directories_are_taken_from_the_manifests_folder) {
    const Compiled all = compiled(shop);
    EXPECT_EQ(program(all, "store-front").directory, "/srv/shop/web");
    EXPECT_EQ(program(all, "cart").directory, "/srv/shop");
}

TEST(Compile, every_service_has_a_loopback_listener_beside_those_of_the_edge_and_the_broker) {
    const std::vector<supervisor::Listener> expected{{"edge", "0.0.0.0:8080", "gateway"},
                                                     {"service:cart", "127.0.0.1:28001", "gateway"},
                                                     {"service:store-front", "127.0.0.1:28002", "gateway"},
                                                     {"amqp", "127.0.0.1:5672", "broker"},
                                                     {"amqp", "unix:run/amqp.sock", "broker"}};
    EXPECT_EQ(compiled(shop).supervisor.listeners, expected);
}

TEST(Compile, control_gets_the_addresses_of_metrics) {
    for (const char* broker : {"", "[broker]\nurl = 'amqp://u:p@10.0.0.9:5673/shop'\n"}) {
        const Compiled all =
            compiled(std::string(broker) +
                     "[metrics]\nlisten = ['127.0.0.1:9464', '[::1]:9464']\n[service.cart]\ncommand = 'x'\n");
        for (const char* address : {"127.0.0.1:9464", "[::1]:9464"}) {
            const supervisor::Listener wanted{"metrics", address, "control"};
            EXPECT_EQ(std::ranges::count(all.supervisor.listeners, wanted), 1) << address;
        }
        EXPECT_TRUE(supervisor::desired_from_json(supervisor::to_json(all.supervisor)));
    }
}

TEST(Compile, another_broker_replaces_the_embedded_one) {
    const Compiled all =
        compiled("[broker]\nurl = 'amqp://u:p@10.0.0.9:5673/shop'\n[service.cart]\ncommand = 'x'\n");
    EXPECT_FALSE(all.supervisor.embedded_broker);
    EXPECT_EQ(std::ranges::count(all.supervisor.listeners, "amqp", &supervisor::Listener::name), 0);
    EXPECT_EQ(program(all, "cart").environment.at("AMQP_URL"), "amqp://u:p@10.0.0.9:5673/shop");
    EXPECT_EQ(all.gateway.broker.address, "10.0.0.9:5673");
    EXPECT_EQ(all.gateway.broker.user, "u");
    EXPECT_EQ(all.gateway.broker.password, "p");
    EXPECT_EQ(all.gateway.broker.vhost, "shop");
}

TEST(Compile, a_broker_that_listens_everywhere_is_reached_on_loopback) {
    const Compiled all = compiled("[broker]\nlisten = ['0.0.0.0:5673']\n[service.cart]\ncommand = 'x'\n");
    EXPECT_EQ(program(all, "cart").environment.at("AMQP_URL"), "amqp://havn:s3cret@127.0.0.1:5673/");
}

TEST(Compile, the_embedded_broker_has_the_platforms_user_guest_on_loopback_and_those_of_the_manifest) {
    const Compiled all = compiled(
        "[broker]\nmemory = '1G'\nmax_connections = 100\n[broker.users]\nreports = "
        "'pw'\n[service.cart]\ncommand = "
        "'x'\n");
    ASSERT_EQ(all.broker.users.size(), 3u);
    EXPECT_EQ(all.broker.users[0].name, "havn");
    EXPECT_EQ(all.broker.users[0].password, "s3cret");
    EXPECT_FALSE(all.broker.users[0].loopback_only);
    EXPECT_EQ(all.broker.users[1].name, "guest");
    EXPECT_TRUE(all.broker.users[1].loopback_only);
    EXPECT_EQ(all.broker.users[2].name, "reports");
    EXPECT_FALSE(all.broker.users[2].loopback_only);
    EXPECT_EQ(all.broker.memory_bytes, 1u << 30);
    EXPECT_EQ(all.broker.connections_max, 100u);
    EXPECT_EQ(all.gateway.broker.user, "havn");
    EXPECT_EQ(all.gateway.broker.password, "s3cret");
}

TEST(Compile, routes_and_upstreams_say_what_the_manifest_says) {
    const Compiled all = compiled(shop);
    ASSERT_EQ(all.gateway.upstreams.size(), 2u);
    EXPECT_EQ(all.gateway.upstreams[1].name, "store-front");
    EXPECT_EQ(all.gateway.upstreams[1].balance, gateway::Balance::least_connections);
    ASSERT_EQ(all.gateway.routes.size(), 2u);
    EXPECT_EQ(all.gateway.routes[0].service, "store-front");
    EXPECT_EQ(all.gateway.routes[1].queue, "invoices");
    EXPECT_EQ(all.gateway.routes[1].methods, std::vector<std::string>{"POST"});
}

TEST(Compile, limits_of_the_gateway_reach_it) {
    const Compiled all = compiled(
        "[gateway]\nthreads = 3\nmemory = '96M'\nconfirm_timeout = '7s'\n[gateway.limits]\n"
        "max_connections = 400\nmax_connections_per_address = 20\n[service.cart]\ncommand = 'x'\n");
    EXPECT_EQ(all.gateway.threads, 3u);
    EXPECT_EQ(all.supervisor.gateway_threads, 3u);
    EXPECT_EQ(all.gateway.memory_bytes, 96u << 20);
    EXPECT_EQ(all.gateway.broker.confirm_timeout, seconds(7));
    EXPECT_EQ(all.gateway.limits.connections_max, 400u);
    EXPECT_EQ(all.gateway.limits.connections_per_address, 20u);
}

TEST(Compile, queues_reach_the_broker_with_their_policies) {
    const Compiled all = compiled(shop);
    ASSERT_EQ(all.broker.vhosts[0].queues.size(), 1u);
    EXPECT_EQ(all.broker.vhosts[0].queues[0].name, "invoices");
    EXPECT_EQ(all.broker.vhosts[0].queues[0].max_attempts, 5u);
    EXPECT_EQ(all.broker.vhosts[0].queues[0].backoff_max, milliseconds(300'000));
}

TEST(Compile, the_folder_names_the_app_that_has_no_name) {
    const manifest::Manifest nameless = parse("[service.cart]\ncommand = 'x'\n");
    EXPECT_EQ(app_name(nameless, "/srv/bakery"), "bakery");
    EXPECT_EQ(app_name(nameless, "/srv/bakery/"), "bakery");
    EXPECT_EQ(app_name(nameless, "/"), "app");
}

TEST(Compile, all_parts_carry_the_revision_and_the_result_depends_on_the_input_alone) {
    const Compiled a = compiled(shop), b = compiled(shop);
    EXPECT_EQ(a.supervisor.revision, 7u);
    EXPECT_EQ(a.gateway.revision, 7u);
    EXPECT_EQ(a.broker.revision, 7u);
    EXPECT_EQ(supervisor::to_json(a.supervisor), supervisor::to_json(b.supervisor));
    EXPECT_EQ(gateway::to_json(a.gateway), gateway::to_json(b.gateway));
    EXPECT_EQ(broker::to_json(a.broker), broker::to_json(b.broker));
}

}  // namespace
}  // namespace havn::control
