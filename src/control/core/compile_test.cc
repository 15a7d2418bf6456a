#include "control/core/compile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

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

Revision revision_of(std::string_view text) {
    return {.number = 7,
            .source = {.app = {}, .manifest = parse(text), .file = "havn.toml", .directory = "/srv/shop"},
            .applied_at = {},
            .placement = {.service_addresses = {{"cart", "127.0.0.1:28001"},
                                                {"store-front", "127.0.0.1:28002"},
                                                {"slow", "127.0.0.1:28003"}},
                          .broker_password = "s3cret"}};
}

Compiled compiled(std::string_view text, std::vector<ScaleTable::Scaled> scaled = {}) {
    const Revision revision = revision_of(text);
    const std::vector<Application> applications{{revision, std::move(scaled)}};
    Result<Compiled> result = compile(revision.number, applications, settings_of(revision));
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

TEST(Compile, a_scaled_program_runs_in_that_number_and_the_others_in_the_manifests) {
    const Compiled all = compiled(shop, {{"store-front", 5, 2}});
    EXPECT_EQ(program(all, "store-front").instances, 5u);
    EXPECT_EQ(program(all, "cart").instances, 1u);
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

// --- several applications on one host

const char* const shared = R"(
[service.web]
command = "serve KEY"
depends_on = ["api"]
[service.api]
command = "serve KEY"
[worker.mail]
command = "work KEY"
queue = "orders"
depends_on = ["web"]
[queue.orders]
max_attempts = PORT
[route."KEY.example/"]
service = "web"
[route."KEY.example/buy"]
queue = "orders"
)";

// The same manifest three times: nothing but the key tells the applications apart.
Revision application(const std::string& key, int number) {
    std::string text = shared;
    for (const auto& [mark, value] : {std::pair("KEY", key), std::pair("PORT", std::to_string(number))}) {
        for (std::size_t at; (at = text.find(mark)) != text.npos;) {
            text.replace(at, std::string_view(mark).size(), value);
        }
    }
    const std::string port = std::to_string(28'000 + 10 * number);
    return {.number = static_cast<std::uint64_t>(number),
            .source = {.app = key, .manifest = parse(text), .file = "havn.toml", .directory = "/srv/" + key},
            .applied_at = {},
            .placement = {.service_addresses = {{"web", "127.0.0.1:" + port}, {"api", "127.0.0.2:" + port}},
                          .broker_password = "password-" + key}};
}

const char* const keys[] = {"bakery", "library", "shop"};

Compiled host_of_three() {
    const Revision bakery = application("bakery", 1), library = application("library", 2),
                   shop = application("shop", 3);
    const std::vector<Application> applications{{bakery, {{"mail", 4, 1}}}, {library, {}}, {shop, {}}};
    HostSettings host;
    host.gateway.threads = 3;
    host.broker_password = "password-of-the-host";
    Result<Compiled> compiled = compile(6, applications, host);
    EXPECT_TRUE(compiled) << compiled.error().text();
    return std::move(*compiled);
}

TEST(CompileHost, every_application_has_all_its_programs_under_its_key) {
    const Compiled host = host_of_three();
    ASSERT_EQ(host.supervisor.programs.size(), 9u);
    std::set<std::pair<std::string, std::string>> identities;
    for (const supervisor::Program& program : host.supervisor.programs) {
        identities.emplace(program.app, program.name);
        EXPECT_EQ(program.directory, "/srv/" + program.app);
        EXPECT_EQ(program.instances, program.app == "bakery" && program.name == "mail" ? 4u : 1u);
    }
    EXPECT_EQ(identities.size(), 9u);
    EXPECT_EQ(host.supervisor.app, "") << "no application speaks for the host";
    EXPECT_EQ(host.supervisor.gateway_threads, 3u);
    const Result<supervisor::Desired> read = supervisor::desired_from_json(to_json(host.supervisor));
    EXPECT_TRUE(read) << read.error().text();
}

TEST(CompileHost, no_program_sees_anything_of_another_application) {
    for (const supervisor::Program& program : host_of_three().supervisor.programs) {
        std::string all = program.command + " " + program.directory;
        for (const auto& [name, value] : program.environment) all += " " + name + "=" + value;
        for (const std::string& other : program.depends_on) all += " " + other;
        for (const std::string key : keys) {
            EXPECT_EQ(all.find(key) != all.npos, key == program.app) << all;
        }
        EXPECT_EQ(all.find("password-of-the-host"), all.npos);
        EXPECT_EQ(program.environment.at("HAVN_APP"), program.app);
        EXPECT_EQ(program.environment.at("AMQP_URL"),
                  "amqp://" + program.app + ":password-" + program.app + "@127.0.0.1:5672/" + program.app);
    }
}

TEST(CompileHost, calls_and_requests_stay_within_their_application) {
    const Compiled host = host_of_three();
    std::map<std::string, std::string> listeners;
    for (const supervisor::Listener& listener : host.supervisor.listeners) {
        if (listener.name.starts_with("service:")) listeners[listener.address] = listener.name.substr(8);
    }
    EXPECT_EQ(listeners.size(), 6u);
    for (const supervisor::Program& program : host.supervisor.programs) {
        const auto url = program.environment.find("API_URL");
        if (url == program.environment.end()) continue;
        EXPECT_EQ(listeners.at(url->second.substr(7)), program.app + "/api");
    }
    ASSERT_EQ(host.gateway.upstreams.size(), 6u);
    for (const gateway::Route& route : host.gateway.routes) {
        const std::string app = route.host.substr(0, route.host.find('.'));
        EXPECT_EQ(route.queue.empty() ? route.service : route.vhost,
                  route.queue.empty() ? app + "/web" : app);
    }
}

TEST(CompileHost, every_application_has_a_virtual_host_and_a_user_that_opens_no_other) {
    const broker::Config broker = host_of_three().broker;
    ASSERT_EQ(broker.vhosts.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(broker.vhosts[i].name, keys[i]);
        ASSERT_EQ(broker.vhosts[i].queues.size(), 1u);
        EXPECT_EQ(broker.vhosts[i].queues[0].max_attempts, i + 1);
    }
    ASSERT_EQ(broker.users.size(), 4u);
    EXPECT_EQ(broker.users[0].name, platform_user);
    EXPECT_EQ(broker.users[0].vhosts, (std::vector<std::string>{"bakery", "library", "shop"}));
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(broker.users[i + 1].name, keys[i]);
        EXPECT_EQ(broker.users[i + 1].vhosts, std::vector<std::string>{keys[i]});
    }
    EXPECT_TRUE(broker::config_from_json(broker::to_json(broker)));
}

TEST(CompileHost, a_route_belongs_to_one_application) {
    const Revision first = application("shop", 1);
    Revision second = application("shop", 1);
    second.source.app = "thief";
    const std::vector<Application> applications{{first, {}}, {second, {}}};
    const Result<Compiled> compiled = compile(2, applications, HostSettings{});
    ASSERT_FALSE(compiled);
    EXPECT_EQ(compiled.error().kind, Error::Kind::conflict);
    EXPECT_NE(compiled.error().message.find("'thief'"), std::string::npos);
}

}  // namespace
}  // namespace havn::control
