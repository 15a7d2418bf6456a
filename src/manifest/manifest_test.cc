#include "manifest/manifest.h"

#include <gtest/gtest.h>

namespace havn::manifest {
namespace {

// The example of the project's design, as it stands there but for one line: isolation = "container".
constexpr std::string_view shop = R"toml(app = "shop"
residency = ["NO"]                          # hosts, backups and log sinks must be here

[gateway]
listen = ["0.0.0.0:8080"]

[broker]
listen = ["127.0.0.1:5672"]                 # AMQP 0-9-1; or url = "amqps://…" for a RabbitMQ cluster

[service.storefront]
command = "python3 storefront.py"           # listens on $PORT
instances = 2
memory = "256M"
cpus = 0.5
healthcheck = { path = "/up", interval = "1s", timeout = "200ms" }
depends_on = ["inventory"]

[service.inventory]
command = "python3 inventory.py"

[route."/"]
service = "storefront"
balance = "least_conn"

[route."/api/v1/stock"]
service = "inventory"
connect_timeout = "50ms"
timeout = "100ms"                           # a true deadline for the whole exchange
idle_timeout = "20s"
tunnel_timeout = "2h"
fallback = { status = 200, type = "application/json", body = '{"stock":"unknown"}' }

[route."/buy"]
methods = ["POST"]
queue = "invoice_processing"                # durable first, then 202 Accepted

[queue.invoice_processing]
max_attempts = 5
backoff = "1s..5m"

[worker.invoice]
command = "python3 invoice_worker.py"       # any AMQP client; $AMQP_URL is given
queue = "invoice_processing"
scale = { min = 1, max = 8, backlog_per_worker = 100, cooldown = "30s" }
stop_timeout = "60s"
)toml";

TEST(Manifest, reads_the_shop_with_every_key_where_it_belongs) {
    const auto parsed = parse_toml(shop, "havn.toml");
    ASSERT_TRUE(parsed.manifest) << render(parsed.diagnostics, {{"havn.toml", std::string(shop)}});

    Service inventory;
    inventory.name = "inventory";
    inventory.command = "python3 inventory.py";
    Service storefront;
    storefront.name = "storefront";
    storefront.command = "python3 storefront.py";
    storefront.instances = 2;
    storefront.memory = 256u << 20;
    storefront.cpus = 0.5;
    storefront.healthcheck = {
        .path = "/up", .interval = milliseconds(1'000), .timeout = milliseconds(200), .retries = 3};
    storefront.depends_on = {"inventory"};
    storefront.balance = Balance::least_conn;
    Worker invoice;
    invoice.name = "invoice";
    invoice.command = "python3 invoice_worker.py";
    invoice.queue = "invoice_processing";
    invoice.scale = {.min = 1, .max = 8, .backlog_per_worker = 100, .cooldown = milliseconds(30'000)};
    invoice.stop_timeout = milliseconds(60'000);
    Route front;
    front.key = front.path = "/";
    front.service = "storefront";
    front.balance = Balance::least_conn;
    Route stock;
    stock.key = stock.path = "/api/v1/stock";
    stock.service = "inventory";
    stock.connect_timeout = milliseconds(50);
    stock.timeout = milliseconds(100);
    stock.idle_timeout = milliseconds(20'000);
    stock.tunnel_timeout = milliseconds(7'200'000);
    stock.fallback = {.status = 200, .type = "application/json", .body = R"({"stock":"unknown"})"};
    Route buy;
    buy.key = buy.path = "/buy";
    buy.queue = "invoice_processing";
    buy.methods = {"POST"};

    Manifest expected;
    expected.app = "shop";
    expected.residency = {"NO"};
    expected.gateway.listen = {"0.0.0.0:8080"};
    expected.broker.listen = {"127.0.0.1:5672"};
    expected.services = {inventory, storefront};
    expected.workers = {invoice};
    expected.routes = {front, stock, buy};
    expected.queues = {{"invoice_processing", {}, 5, {milliseconds(1'000), milliseconds(300'000)}}};
    EXPECT_EQ(*parsed.manifest, expected);
}

TEST(Manifest, warns_of_what_the_shop_asks_for_and_this_version_does_not_do) {
    std::vector<std::string> messages;
    for (const auto& one : parse_toml(shop, "havn.toml").diagnostics) {
        EXPECT_EQ(one.severity, Diagnostic::Severity::warning);
        messages.push_back(one.message);
    }
    EXPECT_EQ(messages,
              (std::vector<std::string>{
                  "`residency` is recorded, but not enforced by this version",
                  "`memory` is recorded, but not enforced by this version",
                  "`cpus` is recorded, but not enforced by this version",
                  "`max` is recorded, but this version runs `min` instances whatever the backlog"}));
}

TEST(Manifest, refuses_the_shop_when_it_asks_for_a_container) {
    auto text = std::string(shop);
    text.insert(text.find("[route"), "[service.auth]\ncommand = \"x\"\nisolation = \"container\"\n");
    EXPECT_FALSE(parse_toml(text, "havn.toml").manifest);
}

TEST(Manifest, reads_every_key_there_is) {
    const auto parsed = parse_toml(R"toml(
app = "all"
[gateway]
listen = ["127.0.0.1:80", "[::1]:80"]
threads = 2
memory = "256M"
confirm_timeout = "2s"
trusted_proxies = ["10.0.0.0/8", "::1"]
[gateway.limits]
max_head = "8K"
max_headers = 50
head_timeout = "5s"
idle_timeout = "1m"
max_connections = 99
max_connections_per_address = 9
[broker]
url = "amqp://shop:secret@10.0.0.5/"
[metrics]
listen = ["127.0.0.1:9464"]
[service.a]
command = "./a $PORT"
instances = 0
directory = "a"
user = "shop"
env = { A = "1", B_2 = "" }
depends_on = ["w", "b"]
isolation = "process"
startsecs = "2s"
startretries = 5
start_timeout = "1m"
stop_timeout = "1m30s"
log_max_bytes = "1M"
log_backups = 2
balance = "least_conn"
max_fails = 0
fail_timeout = "1s"
keepalive = 8
weights = [3, 1]
connect_timeout = "200ms"
idle_timeout = "5m"
tunnel_timeout = "1d"
[service.b]
command = "b"
[worker.w]
command = "w"
scale.min = 2
[route."*.Shop.example/a/"]
service = "a"
methods = ["PUT", "GET"]
[route."/q"]
queue = "q.1"
max_body = "1K"
headers = ["X-Request-Id"]
[queue."q.1"]
ttl = "1d"
)toml",
                                   "havn.toml");
    ASSERT_TRUE(parsed.manifest) << render(parsed.diagnostics, {});
    const auto& manifest = *parsed.manifest;
    EXPECT_EQ(manifest.gateway.listen, (std::vector<std::string>{"127.0.0.1:80", "[::1]:80"}));
    EXPECT_EQ(manifest.gateway.threads, 2u);
    EXPECT_EQ(manifest.gateway.memory, 256u << 20);
    EXPECT_EQ(manifest.gateway.confirm_timeout, seconds(2));
    EXPECT_EQ(manifest.gateway.trusted_proxies, (std::vector<std::string>{"10.0.0.0/8", "::1"}));
    EXPECT_EQ(manifest.gateway.limits,
              (Limits{8u << 10, 50, milliseconds(5'000), milliseconds(60'000), 99, 9}));
    EXPECT_EQ(manifest.broker.url, "amqp://shop:secret@10.0.0.5/");
    EXPECT_EQ(manifest.metrics.listen, (std::vector<std::string>{"127.0.0.1:9464"}));

    const auto& a = manifest.services.at(0);
    EXPECT_EQ(a.instances, 0u);
    EXPECT_EQ(a.directory, "a");
    EXPECT_EQ(a.user, "shop");
    EXPECT_EQ(a.env, (std::map<std::string, std::string>{{"A", "1"}, {"B_2", ""}}));
    EXPECT_EQ(a.depends_on, (std::vector<std::string>{"b", "w"}));
    EXPECT_EQ(a.startsecs, milliseconds(2'000));
    EXPECT_EQ(a.startretries, 5u);
    EXPECT_EQ(a.start_timeout, milliseconds(60'000));
    EXPECT_EQ(a.stop_timeout, milliseconds(90'000));
    EXPECT_EQ(a.log_max_bytes, 1u << 20);
    EXPECT_EQ(a.log_backups, 2u);
    EXPECT_EQ(a.balance, Balance::least_conn);
    EXPECT_EQ(a.max_fails, 0u);
    EXPECT_EQ(a.fail_timeout, milliseconds(1'000));
    EXPECT_EQ(a.keepalive, 8u);
    EXPECT_EQ(a.weights, (std::vector<std::uint32_t>{3, 1}));
    EXPECT_EQ(a.connect_timeout, milliseconds(200));
    EXPECT_EQ(a.idle_timeout, milliseconds(300'000));
    EXPECT_EQ(a.tunnel_timeout, std::chrono::hours(24));

    EXPECT_EQ(manifest.workers.at(0).instances, 2u) << "scale.min instances run";
    EXPECT_EQ(manifest.workers.at(0).scale->max, 2u) << "max is at least min";

    const auto& route = manifest.routes.at(0);
    EXPECT_EQ(route.key, "*.shop.example/a");
    EXPECT_EQ(route.host, "*.shop.example");
    EXPECT_EQ(route.path, "/a");
    EXPECT_EQ(route.methods, (std::vector<std::string>{"GET", "PUT"}));
    EXPECT_EQ(manifest.routes.at(1).max_body, 1u << 10);
    EXPECT_EQ(manifest.routes.at(1).headers, std::vector<std::string>{"X-Request-Id"});
    EXPECT_EQ(manifest.queues.at(0).ttl, milliseconds(86'400'000));

    const auto again = manifest_from_json(to_json(manifest));
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(*again, manifest);
}

TEST(Manifest, is_the_same_whatever_the_order_of_the_text) {
    const auto one = parse_toml(
        "[service.a]\ncommand = \"a\"\ndepends_on = [\"c\", \"b\"]\n[service.b]\ncommand = \"b\"\n"
        "[service.c]\ncommand = \"c\"\n",
        "");
    const auto other = parse_toml(
        "service.c.command = 'c'\nservice.b = { command = 'b' }\n"
        "[service.a]\ndepends_on = [\"b\", \"c\"]\ncommand = \"a\"\n",
        "");
    ASSERT_TRUE(one.manifest && other.manifest);
    EXPECT_EQ(*one.manifest, *other.manifest);
}

TEST(Manifest, survives_its_canonical_form) {
    const auto manifest = parse_toml(shop, "havn.toml").manifest.value();
    const auto text = to_json(manifest).dump();
    const auto again = manifest_from_json(parse_json(text).value());
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(*again, manifest);
    EXPECT_EQ(to_json(*again).dump(), text);
}

TEST(Manifest, has_a_form_without_secrets) {
    const Parsed parsed = parse_toml(R"(
[broker]
users = { shop = "s3cret" }
[service.web]
command = "web --db=postgres://u:s3cret@h/x"
env = { KEY = "s3cret", MODE = "fast" }
)",
                                     "");
    ASSERT_TRUE(parsed.manifest);
    const Json shown = redacted_json(*parsed.manifest);
    EXPECT_EQ(shown.dump().find("s3cret"), std::string::npos) << shown.dump(1);
    EXPECT_EQ(shown["service"]["web"]["env"], (Json{{"KEY", "***"}, {"MODE", "***"}}));
    EXPECT_EQ(shown["service"]["web"]["command"], "web --db=postgres://u:***@h/x");
    EXPECT_EQ(shown["broker"]["users"], (Json{{"shop", "***"}}));
    Json plain = to_json(*parsed.manifest);
    EXPECT_EQ(plain["service"]["web"]["env"]["KEY"], "s3cret");
    for (const char* path : {"/service/web/env", "/service/web/command", "/broker/users"}) {
        plain[Json::json_pointer(path)] = shown[Json::json_pointer(path)];
    }
    EXPECT_EQ(plain, shown) << "nothing else is touched";
}

TEST(Manifest, keeps_a_number_of_instances_that_was_scaled_by_hand) {
    auto manifest = parse_toml(shop, "havn.toml").manifest.value();
    manifest.workers.at(0).instances = 5;
    EXPECT_EQ(manifest_from_json(to_json(manifest)).value().workers.at(0).instances, 5u);
    manifest.workers.at(0).instances = 9;
    EXPECT_EQ(manifest_from_json(to_json(manifest)).error().message,
              "`instances` is 9, but `scale` allows 1 to 8");
}

TEST(Manifest, refuses_a_canonical_form_that_is_not_one) {
    const auto refused = [](const char* text) {
        const auto result = manifest_from_json(parse_json(text).value());
        return result ? std::string("accepted") : result.error().message;
    };
    EXPECT_EQ(refused("[]"), "the manifest is an empty list, but must be a table");
    EXPECT_EQ(refused(R"({"app": null})"),
              "`app` is null, but must be lower-case letters, digits, - and _, beginning with a letter or "
              "digit, at most 63");
    EXPECT_EQ(refused(R"({"colour": 1})"), "the top of the file has no key `colour`");
    EXPECT_EQ(refused(R"({"service": {"a": {"command": "x", "instances": 18446744073709551615}}})"),
              "`instances` is the number 1.8446744073709552e+19, but must be a whole number from 0 to 1000");
}

TEST(Manifest, names_the_variable_in_which_a_service_is_found) {
    EXPECT_EQ(url_variable("inventory"), "INVENTORY_URL");
    EXPECT_EQ(url_variable("shop-front_2"), "SHOP_FRONT_2_URL");
}

}  // namespace
}  // namespace havn::manifest
