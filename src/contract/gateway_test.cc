#include "contract/gateway.h"

#include <gtest/gtest.h>

namespace havn::gateway {
namespace {

TEST(Config, what_is_written_reads_back_the_same) {
    Config config;
    config.revision = 7;
    config.upstreams.push_back({"web", Balance::least_connections, 1, milliseconds(2), 3, {4, 5}});
    Route route;
    route.host = "*.shop";
    route.path = "/x";
    route.methods = {"GET"};
    route.service = "web";
    route.connect_timeout = milliseconds(50);
    route.timeout = milliseconds(100);
    route.idle_timeout = milliseconds(101);
    route.tunnel_timeout = milliseconds(102);
    route.fallback = Fallback{200, "application/json", "{}"};
    Route queue;
    queue.path = "/buy";
    queue.queue = "invoices";
    queue.body_bytes_max = 99;
    queue.headers = {"X-A"};
    config.routes = {route, queue};
    config.threads = 3;
    config.memory_bytes = 5u << 20;
    config.limits = {1024, 10, milliseconds(1), milliseconds(2), 3, 4};
    config.broker = {"1.2.3.4:5672", "u", "p", "v", milliseconds(9)};
    config.trusted_proxies = {"10.0.0.0/8", "::1"};
    const Json json = to_json(config);
    const Result<Config> read = config_from_json(parse_json(json.dump()).value());
    ASSERT_TRUE(read.has_value()) << read.error().text();
    EXPECT_EQ(to_json(*read), json);
    EXPECT_EQ(read->routes[0].fallback->type, "application/json");
    EXPECT_EQ(read->routes[0].timeout, milliseconds(100));
    EXPECT_EQ(read->routes[0].idle_timeout, milliseconds(101));
    EXPECT_EQ(read->routes[0].tunnel_timeout, milliseconds(102));
    EXPECT_FALSE(read->routes[1].timeout.has_value());
    EXPECT_EQ(read->routes[1].body_bytes_max, 99u);
    EXPECT_EQ(read->broker.confirm_timeout, milliseconds(9));
    EXPECT_EQ(read->threads, 3u);
    EXPECT_EQ(read->memory_bytes, 5u << 20);
    EXPECT_EQ(read->limits.connections_per_address, 4u);
}

TEST(Config, what_is_left_out_has_its_default) {
    const Result<Config> config = config_from_json(Json::object());
    ASSERT_TRUE(config.has_value());
    EXPECT_EQ(to_json(*config), to_json(Config{}));
}

TEST(Config, an_error_names_the_key_and_what_was_found) {
    const std::vector<std::pair<std::string, std::string>> table{
        {R"([])", "expected an object, found []"},
        {R"({"revision":-1})", "revision: expected a whole number"},
        {R"({"routes":{}})", "routes: expected a list of objects"},
        {R"({"routes":[1]})", "routes[0]: expected an object, found 1"},
        {R"({"routes":[{"path":"x","queue":"q"}]})", "routes[0].path: is missing or does not start with '/'"},
        {R"({"routes":[{"path":"/"}]})", "routes[0].service: give exactly one"},
        {R"({"routes":[{"path":"/","service":"a","queue":"b"}]})", "routes[0].service: give exactly one"},
        {R"({"routes":[{"path":"/","queue":"q","vhost":"shop"}]})", "is in virtual host 'shop'"},
        {R"({"routes":[{"path":"/","service":"a"}]})", "names service 'a', which is not in upstreams"},
        {R"({"routes":[{"path":"/","queue":"q"},{"path":"/","queue":"q","timeout_ms":"1s"}]})",
         "routes[1].timeout_ms: expected a whole number from 1 to 2592000000, found \"1s\""},
        {R"({"routes":[{"path":"/","queue":"q","methods":["A B"]}]})",
         "routes[0].methods: 'A B' is no method"},
        {R"({"routes":[{"path":"/","queue":"q","fallback":{"status":99}}]})", "routes[0].fallback.status"},
        {R"({"upstreams":[{}]})", "upstreams[0].name is missing"},
        {R"({"upstreams":[{"name":"a","balance":"best"}]})",
         "round_robin or least_connections, found \"best\""},
        {R"({"upstreams":[{"name":"a","weights":[0]}]})", "upstreams[0].weights"},
        {R"({"limits":{"head_bytes_max":1}})", "limits.head_bytes_max"},
        {R"({"trusted_proxies":["10/8"]})", "'10/8' is no network"},
        {R"({"threads":257})", "threads: expected a whole number from 0 to 256"},
        {R"({"memory_bytes":"1G"})", "memory_bytes: expected a whole number"},
        {R"({"broker":{"vhost":")" + std::string(256, 'v') + R"("}})",
         "broker.vhost: expected a string of at most 255 bytes"},
    };
    for (const auto& [text, expected] : table) {
        const Result<Config> config = config_from_json(parse_json(text).value());
        ASSERT_FALSE(config.has_value()) << text;
        EXPECT_EQ(config.error().kind, Error::Kind::invalid);
        EXPECT_NE(config.error().message.find(expected), std::string::npos) << config.error().message;
    }
}

}  // namespace
}  // namespace havn::gateway
