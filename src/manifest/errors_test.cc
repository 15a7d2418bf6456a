#include <gtest/gtest.h>

#include <fmt/format.h>

#include "manifest/manifest.h"

namespace havn::manifest {
namespace {

struct Case {
    const char* what;
    const char* text;
    std::vector<std::string> said;  // "line:column severity message | hint", in order
};

void PrintTo(const Case& one, std::ostream* out) {
    *out << one.text;
}

std::string shown(const Diagnostic& one) {
    return fmt::format("{}:{} {}: {} | {}", one.line, one.column,
                       one.severity == Diagnostic::Severity::error ? "error" : "warning", one.message,
                       one.hint);
}

std::vector<std::string> said_of(const Parsed& parsed) {
    std::vector<std::string> said;
    for (const auto& one : parsed.diagnostics) said.push_back(shown(one));
    return said;
}

class Errors : public testing::TestWithParam<Case> {};

TEST_P(Errors, say_where_what_was_found_and_what_is_allowed) {
    const auto parsed = parse_toml(GetParam().text, "havn.toml");
    EXPECT_EQ(said_of(parsed), GetParam().said);
    bool any_error = false;
    for (const auto& one : parsed.diagnostics) any_error |= one.severity == Diagnostic::Severity::error;
    EXPECT_EQ(parsed.manifest.has_value(), !any_error);
}

const Case syntax[] = {
    {"a_route_without_quotes",
     "[route./]\nservice = \"a\"\n",
     {"1:8 error: not valid TOML: Error while parsing key: expected bare key starting character or string "
      "delimiter, saw '/' | the key of a route stands in quotes: [route.\"/path\"]"}},
    {"a_value_left_out",
     "app = \n",
     {"1:7 error: not valid TOML: Error while parsing key-value pair: expected value, saw '\\n' | write a "
      "value after app ="}},
    {"a_key_written_twice",
     "[service.a]\ncommand = \"x\"\ncommand = \"y\"\n",
     {"3:11 error: not valid TOML: Error while parsing key-value pair: cannot redefine existing string "
      "'command' | "}},
    {"a_table_written_twice",
     "[service.a]\ncommand = \"x\"\n[service.a]\n",
     {"3:1 error: not valid TOML: Error while parsing table header: cannot redefine existing table "
      "'service.a' | "}},
    {"bytes_that_are_no_text",
     "app = \"\xff\"\n",
     {"1:7 error: not valid TOML: Encountered invalid utf-8 sequence | "}},
    {"a_key_of_too_many_parts",
     "app = 'x.y' # 1.2.3.4.5.6.7.8.9\na.b.c.d.e.f.g.h.i = 1\n",
     {"2:16 error: not valid TOML: a key has more than 8 parts | "}},
    {"a_key_with_letters_beyond_ascii",
     "\xef\xbb\xbf# båt\napp = 'å'\n[service.båt]\n",
     {"3:11 error: not valid TOML: letters beyond ASCII stand in quotes, in a key too | "}},
    {"a_key_that_begins_with_a_sign",
     "[$x]\n",
     {"1:2 error: not valid TOML: Error while parsing key: expected bare key starting character or string "
      "delimiter, saw '$' | "}},
};

const Case unknown[] = {
    {"a_slip_of_the_keyboard",
     "[service.a]\ncommand = \"x\"\ninstnaces = 2\n",
     {"3:1 error: [service.a] has no key `instnaces` | did you mean `instances`?"}},
    {"a_name_from_compose",
     "[service.a]\ncommand = \"x\"\nreplicas = 2\n",
     {"3:1 error: [service.a] has no key `replicas` | did you mean `instances`?"}},
    {"a_name_from_supervisord",
     "[worker.a]\ncommand = \"x\"\nnumprocs = 2\nstopwaitsecs = 5\n",
     {"3:1 error: [worker.a] has no key `numprocs` | did you mean `instances`?",
      "4:1 error: [worker.a] has no key `stopwaitsecs` | did you mean `stop_timeout`?"}},
    {"a_name_in_another_style",
     "[service.a]\ncommand = \"x\"\nhealth_check = { path = \"/\" }\n",
     {"3:1 error: [service.a] has no key `health_check` | did you mean `healthcheck`?"}},
    {"a_key_that_stands_elsewhere",
     "[route.\"/\"]\nservice = \"a\"\nmax_fails = 2\n[service.a]\ncommand = \"x\"\n",
     {"3:1 error: [route.\"/\"] has no key `max_fails` | `max_fails` is a key of [service.NAME]"}},
    {"a_key_below_a_table",
     "[service.a]\ncommand = \"x\"\nresidency = [\"NO\"]\n",
     {"3:1 error: [service.a] has no key `residency` | `residency` stands at the top of the file, before any "
      "[table]"}},
    {"a_thing_there_is_no_need_for",
     "[service.a]\ncommand = \"x\"\nport = 8000\n",
     {"3:1 error: [service.a] has no key `port` | every instance is told its own port in $PORT; listen "
      "there, and give a "
      "route to be reached from outside"}},
    {"a_key_nothing_is_near",
     "[queue.q]\ncolour = 1\n[service.a]\ncommand = \"x\"\n",
     {"2:1 error: [queue.q] has no key `colour` | [queue.q] knows ttl, max_attempts, backoff"}},
    {"a_table_in_the_plural",
     "[services.a]\ncommand = \"x\"\n",
     {"1:2 error: the top of the file has no key `services` | did you mean `service`? write [service.NAME]"}},
    {"a_key_of_a_nested_table",
     "[service.a]\ncommand = \"x\"\nhealthcheck = { pth = \"/\" }\n",
     {"3:17 error: [service.a.healthcheck] has no key `pth` | did you mean `path`?"}},
};

const Case values[] = {
    {"a_number_for_a_duration",
     "[service.a]\ncommand = \"x\"\nstop_timeout = 60\n",
     {"3:16 error: `stop_timeout` is the whole number 60, but must be a duration from \"0s\" to \"1h\" | "
      "write "
      "stop_timeout = \"60s\""}},
    {"a_duration_without_a_unit",
     "[service.a]\ncommand = \"x\"\nstop_timeout = \"60\"\n",
     {"3:16 error: `stop_timeout` is the text \"60\", but must be a duration from \"0s\" to \"1h\" | write "
      "stop_timeout = "
      "\"60s\""}},
    {"a_duration_out_of_bounds",
     "[service.a]\ncommand = \"x\"\nstop_timeout = \"2h\"\n",
     {"3:16 error: `stop_timeout` is the text \"2h\", but must be a duration from \"0s\" to \"1h\" | "}},
    {"a_number_for_a_size",
     "[service.a]\ncommand = \"x\"\nlog_max_bytes = 3\n",
     {"3:17 error: `log_max_bytes` is the whole number 3, but must be a size from \"4K\" to \"16G\" | write "
      "log_max_bytes = \"3M\""}},
    {"a_unit_that_does_not_exist",
     "[route.\"/\"]\nqueue = \"q\"\nmax_body = \"1X\"\n[queue.q]\n[worker.a]\ncommand = \"x\"\n",
     {"3:12 error: `max_body` is the text \"1X\", but must be a size from \"0B\" to \"128M\" | write "
      "max_body "
      "= \"16M\""}},
    {"a_text_for_a_number",
     "[service.a]\ncommand = \"x\"\ninstances = \"2\"\n",
     {"3:13 error: `instances` is the text \"2\", but must be a whole number from 0 to 1000 | write "
      "instances = 2"}},
    {"a_number_out_of_bounds",
     "[service.a]\ncommand = \"x\"\ninstances = 1001\n",
     {"3:13 error: `instances` is the whole number 1001, but must be a whole number from 0 to 1000 | "}},
    {"limits_of_the_gateway_out_of_bounds",
     "[gateway]\nmemory = \"2T\"\nconfirm_timeout = \"50ms\"\n[gateway.limits]\n"
     "max_connections_per_address = -1\n[service.a]\ncommand = \"x\"\n",
     {"2:10 error: `memory` is the text \"2T\", but must be a size from \"0B\" to \"1T\" | ",
      "3:19 error: `confirm_timeout` is the text \"50ms\", but must be a duration from \"100ms\" to \"10m\" "
      "| ",
      "5:31 error: `max_connections_per_address` is the whole number -1, but must be a whole number from 0 "
      "to "
      "1000000 | "}},
    {"a_fraction_for_a_number",
     "[service.a]\ncommand = \"x\"\ninstances = 1.5\n",
     {"3:13 error: `instances` is the number 1.5, but must be a whole number from 0 to 1000 | write "
      "instances = 2"}},
    {"not_a_number",
     "[service.a]\ncommand = \"x\"\ncpus = nan\n",
     {"3:8 error: `cpus` is the number nan, but must be a number above 0, at most 1024 | "}},
    {"a_date",
     "app = 2026-01-31\n[service.a]\ncommand = \"x\"\n",
     {"1:7 error: `app` is a date or time, but must be lower-case letters, digits, - and _, beginning with a "
      "letter or "
      "digit, at most 63 | write app = \"shop\""}},
    {"a_text_for_a_list",
     "[route.\"/\"]\nservice = \"a\"\nmethods = \"GET\"\n[service.a]\ncommand = \"x\"\n",
     {"3:11 error: `methods` is the text \"GET\", but must be a list of at most 32 texts: an HTTP method in "
      "capitals, "
      "such as \"GET\" | write methods = [\"GET\"]"}},
    {"a_method_in_small_letters",
     "[route.\"/\"]\nservice = \"a\"\nmethods = [\"GET\", \"post\"]\n[service.a]\ncommand = \"x\"\n",
     {"3:19 error: `methods` has the text \"post\", but each must be an HTTP method in capitals, such as "
      "\"GET\" | write "
      "\"POST\""}},
    {"an_item_written_twice",
     "[route.\"/\"]\nservice = \"a\"\nmethods = [\"GET\", \"GET\"]\n[service.a]\ncommand = \"x\"\n",
     {"3:19 error: `methods` names \"GET\" twice | remove one"}},
    {"an_address_without_a_host",
     "[gateway]\nlisten = [\":8080\"]\n[service.a]\ncommand = \"x\"\n",
     {"2:11 error: `listen` has the text \":8080\", but each must be IP:PORT, such as \"0.0.0.0:8080\", "
      "\"127.0.0.1:8080\" or \"[::]:8080\" | write \"0.0.0.0:8080\""}},
    {"an_address_by_name",
     "[gateway]\nlisten = [\"localhost:8080\"]\n[service.a]\ncommand = \"x\"\n",
     {"2:11 error: `listen` has the text \"localhost:8080\", but each must be IP:PORT, such as "
      "\"0.0.0.0:8080\", "
      "\"127.0.0.1:8080\" or \"[::]:8080\" | write \"127.0.0.1:8080\""}},
    {"no_address_at_all",
     "[gateway]\nlisten = []\n[service.a]\ncommand = \"x\"\n",
     {"2:10 error: `listen` is an empty list, but must be a list of 1 to 64 texts: IP:PORT, such as "
      "\"0.0.0.0:8080\", "
      "\"127.0.0.1:8080\" or \"[::]:8080\" | write listen = [\"0.0.0.0:8080\"]"}},
    {"a_network_that_is_none",
     "[gateway]\ntrusted_proxies = [\"10.0.0.0/33\"]\n[service.a]\ncommand = \"x\"\n",
     {"2:20 error: `trusted_proxies` has the text \"10.0.0.0/33\", but each must be IP or IP/BITS, such as "
      "\"10.0.0.0/8\" | "}},
    {"a_choice_that_is_none",
     "[service.a]\ncommand = \"x\"\nbalance = \"random\"\n",
     {"3:11 error: `balance` is the text \"random\", but must be \"round_robin\" or \"least_conn\" | "}},
    {"a_backoff_the_wrong_way_round",
     "[queue.q]\nbackoff = \"5m..1s\"\n[service.a]\ncommand = \"x\"\n",
     {"2:11 error: `backoff` is the text \"5m..1s\", but must be two durations, the shorter first, such as "
      "\"1s..5m\", up "
      "to \"1d\" | write backoff = \"1s..5m\""}},
    {"a_number_in_the_environment",
     "[service.a]\ncommand = \"x\"\nenv = { LEVEL = 1 }\n",
     {"3:17 error: `LEVEL` is the whole number 1, but must be a text | put it in quotes: LEVEL = \"…\""}},
    {"a_variable_with_a_dash",
     "[service.a]\ncommand = \"x\"\nenv = { log-level = \"x\" }\n",
     {"3:9 error: \"log-level\" is no name of an environment variable | use letters, digits and _, not "
      "beginning with a "
      "digit"}},
    {"a_variable_that_is_ours",
     "[service.a]\ncommand = \"x\"\nenv = { PORT = \"80\" }\n",
     {"3:7 error: `PORT` is set by Havn itself | leave it out of env"}},
    {"a_text_for_a_table",
     "[service.a]\ncommand = \"x\"\nhealthcheck = \"/up\"\n",
     {"3:15 error: `healthcheck` is the text \"/up\", but must be a table | write healthcheck = { path = "
      "\"/up\" }"}},
    {"tables_in_a_list",
     "[[service]]\nname = \"a\"\n",
     {"1:1 error: `service` is a list, but must be a table | write [service.storefront]"}},
    {"a_value_for_a_service",
     "service.a = \"x\"\n",
     {"1:9 error: [service] holds tables, but `a` is the text \"x\" | write [service.storefront] and its "
      "keys below"}},
    {"a_long_text",
     "app = \"0123456789012345678901234567890123456789012345678901234567890123456789\"\n",
     {"1:7 error: `app` is the text \"012345678901234567890123456789012345678901234567890123456789\"…, but "
      "must be "
      "lower-case letters, digits, - and _, beginning with a letter or digit, at most 63 | write app = "
      "\"shop\""}},
    {"tls_to_a_broker",
     "[broker]\nurl = \"amqps://rabbit\"\n[service.a]\ncommand = \"x\"\n",
     {"2:7 error: `url` is the text \"amqps://rabbit\": amqps:// needs TLS, which the gateway of this "
      "version does not "
      "speak | use amqp:// over a private network"}},
};

const Case names[] = {
    {"a_name_with_a_capital",
     "[service.Web]\ncommand = \"x\"\n",
     {"1:10 error: \"Web\" is no name for a service: lower-case letters, digits, - and _, beginning with a "
      "letter or "
      "digit, at most 63 | write [service.web]"}},
    {"a_name_of_the_platform",
     "[worker.gateway]\ncommand = \"x\"\n",
     {"1:9 error: \"gateway\" is no name for a worker: supervisor, keeper, gateway, broker and control are "
      "parts of the "
      "platform | choose another name"}},
    {"a_queue_that_amqp_reserves",
     "[queue.\"amq.direct\"]\n[service.a]\ncommand = \"x\"\n",
     {"1:8 error: \"amq.direct\" is no name for a queue: letters, digits and . _ - : up to 200, not "
      "beginning with amq. "
      "| "}},
    {"one_name_for_two",
     "[service.a]\ncommand = \"x\"\n[worker.a]\ncommand = \"x\"\n",
     {"3:9 error: \"a\" is the name of a service already | choose another name"}},
    {"two_names_for_one_variable",
     "[service.a-b]\ncommand = \"x\"\n[service.a_b]\ncommand = \"x\"\n",
     {"3:10 error: the services a-b and a_b would share the variable $A_B_URL | choose another name"}},
    {"no_command",
     "[service.a]\n",
     {"1:10 error: the service \"a\" has no command | add command = \"…\" here, or a line for it to the "
      "Procfile"}},
    {"a_blank_command",
     "[service.a]\ncommand = \" \"\n",
     {"2:11 error: `command` is the text \" \", but must be a command line on one line | write command = "
      "\"python3 "
      "storefront.py\""}},
    {"a_dependency_that_is_not_there",
     "[service.a]\ncommand = \"x\"\ndepends_on = [\"inventry\"]\n[service.inventory]\ncommand = \"x\"\n",
     {"3:14 error: there is no service or worker \"inventry\" | did you mean \"inventory\"?"}},
    {"a_dependency_on_itself",
     "[service.a]\ncommand = \"x\"\ndepends_on = [\"a\"]\n",
     {"3:14 error: \"a\" depends on itself | leave it out"}},
    {"a_circle",
     "[service.a]\ncommand = \"x\"\ndepends_on = [\"b\"]\n[worker.b]\ncommand = \"x\"\ndepends_on = [\"c\"]\n"
     "[service.c]\ncommand = \"x\"\ndepends_on = [\"a\"]\n",
     {"9:14 error: `depends_on` goes in a circle: a → b → c → a | take one of them out: nothing in a circle "
      "could start "
      "first"}},
};

const Case routes[] = {
    {"a_route_to_nothing",
     "[route.\"/\"]\n[service.a]\ncommand = \"x\"\n",
     {"1:8 error: the route \"/\" goes nowhere | give it service = \"NAME\" or queue = \"NAME\""}},
    {"a_route_to_two",
     "[route.\"/\"]\nservice = \"a\"\nqueue = \"q\"\n[service.a]\ncommand = \"x\"\n[queue.q]\n",
     {"3:9 error: a route goes to a service or to a queue, not to both | leave out `service` or `queue`"}},
    {"a_service_that_is_not_there",
     "[route.\"/\"]\nservice = \"b\"\n[service.web]\ncommand = \"x\"\n",
     {"2:11 error: there is no service \"b\" | there is web; or add [service.b]"}},
    {"a_worker_that_takes_no_requests",
     "[route.\"/\"]\nservice = \"a\"\n[worker.a]\ncommand = \"x\"\n",
     {"2:11 error: \"a\" is a worker, which takes no requests | make it [service.a]"}},
    {"a_queue_that_is_not_there",
     "[worker.a]\ncommand = \"x\"\nqueue = \"invoics\"\n[queue.invoices]\n",
     {"3:9 error: there is no queue \"invoics\" | did you mean \"invoices\"?"}},
    {"a_queue_where_there_is_none",
     "[route.\"/\"]\nqueue = \"a.b\"\n[worker.a]\ncommand = \"x\"\n",
     {"2:9 error: there is no queue \"a.b\" | add [queue.\"a.b\"]"}},
    {"one_route_in_two_spellings",
     "[route.\"Shop.example/a/\"]\nservice = \"a\"\n[route.\"shop.example/a\"]\nservice = "
     "\"a\"\n[service.a]\ncommand = \"x\"\n",
     {"3:8 error: the route \"shop.example/a\" is there already | see line 1"}},
    {"a_route_with_a_star",
     "[route.\"/api/*\"]\nservice = \"a\"\n[service.a]\ncommand = \"x\"\n",
     {"1:8 error: \"/api/*\" is no route: a path has no * | write [route.\"/api\"]: it matches everything "
      "below as well"}},
    {"a_route_with_an_escape",
     "[route.\"/%61dmin\"]\nservice = \"a\"\n[route.\"/a;b\"]\nservice = \"a\"\n"
     "[route.\"/caf%C3%A9\"]\nservice = \"a\"\n[service.a]\ncommand = \"x\"\n",
     {"1:8 error: \"/%61dmin\" is no route: a path has no ; and no \\, and no escape but of bytes beyond "
      "ASCII | write it as it reads: requests are matched decoded",
      "3:8 error: \"/a;b\" is no route: a path has no ; and no \\, and no escape but of bytes beyond ASCII | "
      "write it as it reads: requests are matched decoded"}},
    {"a_route_without_a_slash",
     "[route.api]\nservice = \"a\"\n[service.a]\ncommand = \"x\"\n",
     {"1:8 error: \"api\" is no route: it is /path or host/path | write [route.\"/api\"]"}},
    {"a_host_without_a_path",
     "[route.\"shop.example\"]\nservice = \"a\"\n[service.a]\ncommand = \"x\"\n",
     {"1:8 error: \"shop.example\" is no route: it is /path or host/path | write [route.\"shop.example/\"]"}},
    {"a_route_with_a_port",
     "[route.\"shop.example:80/\"]\nservice = \"a\"\n[service.a]\ncommand = \"x\"\n",
     {"1:8 error: \"shop.example:80/\" is no route: a host is a name such as shop.example or *.shop.example, "
      "without a "
      "port | "}},
    {"a_path_that_climbs",
     "[route.\"/a/../b\"]\nservice = \"a\"\n[service.a]\ncommand = \"x\"\n",
     {"1:8 error: \"/a/../b\" is no route: a path begins with / and has no empty, . or .. segment, no space, "
      "?, # or * | "}},
    {"a_key_for_queues_on_a_service_route",
     "[route.\"/\"]\nservice = \"a\"\nmax_body = \"1M\"\n[service.a]\ncommand = \"x\"\n",
     {"3:12 error: `max_body` is only for a route to a queue | leave it out"}},
    {"keys_for_services_on_a_queue_route",
     "[route.\"/\"]\nqueue = \"q\"\ntimeout = \"5s\"\ntunnel_timeout = \"1h\"\nidle_timeout = \"9s\"\n"
     "fallback = { body = \"\" }\n[queue.q]\n[worker.a]\ncommand = \"x\"\n",
     {"3:11 error: `timeout` is only for a route to a service | leave it out",
      "4:18 error: `tunnel_timeout` is only for a route to a service | leave it out",
      "6:1 error: `fallback` is only for a route to a service | leave it out"}},
    {"routes_that_balance_in_two_ways",
     "[route.\"/\"]\nservice = \"a\"\nbalance = \"least_conn\"\n[route.\"/b\"]\nservice = \"a\"\nbalance = "
     "\"round_robin\"\n"
     "[service.a]\ncommand = \"x\"\n",
     {"6:11 error: the service \"a\" is balanced another way elsewhere | write the same `balance` in all its "
      "routes"}},
};

const Case contradictions[] = {
    {"scale_the_wrong_way_round",
     "[worker.a]\ncommand = \"x\"\nscale = { min = 4, max = 2 }\n",
     {"3:17 error: `min` is 4, more than `max`, which is 2 | ",
      "3:20 warning: `max` is recorded, but this version runs `min` instances whatever the backlog | "}},
    {"instances_outside_scale",
     "[worker.a]\ncommand = \"x\"\ninstances = 3\nscale = { min = 1, max = 2 }\n",
     {"3:13 error: `instances` is 3, but `scale` allows 1 to 2 | leave `instances` out: it then is `min`",
      "4:20 warning: `max` is recorded, but this version runs `min` instances whatever the backlog | "}},
    {"two_on_one_port",
     "[gateway]\nlisten = [\"127.0.0.1:5672\"]\n[service.a]\ncommand = \"x\"\n",
     {"2:10 error: gateway and broker both listen on port 5672 | give one of them another port"}},
    {"metrics_on_the_gateways_port",
     "[metrics]\nlisten = [\"127.0.0.1:8080\"]\n[service.a]\ncommand = \"x\"\n",
     {"2:10 error: gateway and metrics both listen on port 8080 | give one of them another port"}},
    {"metrics_on_the_brokers_port",
     "[metrics]\nlisten = [\"0.0.0.0:9464\", \"0.0.0.0:5672\"]\n[service.a]\ncommand = \"x\"\n",
     {"2:10 error: broker and metrics both listen on port 5672 | give one of them another port"}},
    {"metrics_twice_on_one_port",
     "[metrics]\nlisten = [\"0.0.0.0:9464\", \"127.0.0.1:9464\"]\n[service.a]\ncommand = \"x\"\n",
     {"2:10 error: \"0.0.0.0:9464\" covers \"127.0.0.1:9464\" already: one of them could not listen | leave "
      "one of them out"}},
    {"an_address_for_a_broker_that_is_not_ours",
     "[broker]\nurl = \"amqp://10.0.0.5\"\nlisten = [\"127.0.0.1:5672\"]\n[service.a]\ncommand = \"x\"\n",
     {"3:10 error: `listen` is only for the embedded broker, not with `url` | leave it out"}},
    {"a_user_that_is_the_platforms_own",
     "[broker]\nusers = { havn = \"x\" }\n[service.a]\ncommand = \"x\"\n",
     {"2:9 error: the user \"havn\" is the platform's own, with a password it makes | choose another name"}},
    {"limits_for_a_broker_that_is_not_ours",
     "[broker]\nurl = \"amqp://10.0.0.5\"\n[queue.q]\nmax_attempts = 3\n[service.a]\ncommand = \"x\"\n",
     {"3:8 warning: what [queue.q] says is not applied to the broker at `url` | set it there as a policy"}},
    {"isolation_this_version_cannot_give",
     "[service.a]\ncommand = \"x\"\nisolation = \"container\"\n",
     {"3:13 error: `isolation` is \"container\", but this version has only \"process\", and never runs "
      "unisolated what "
      "asks for more | write isolation = \"process\", or leave it out"}},
    {"what_is_recorded_only",
     "residency = [\"NO\"]\n[service.a]\ncommand = \"x\"\nmemory = \"256M\"\ncpus = 0.5\n",
     {"1:1 warning: `residency` is recorded, but not enforced by this version | ",
      "4:1 warning: `memory` is recorded, but not enforced by this version | ",
      "5:1 warning: `cpus` is recorded, but not enforced by this version | "}},
    {"nothing_at_all",
     "",
     {"0:0 warning: there is nothing to start | add [service.NAME] or [worker.NAME] with a command"}},
    {"many_at_once",
     "app = 5\n[service.a]\ninstances = -1\n[route.\"/\"]\nservice = \"zebra\"\n",
     {"1:7 error: `app` is the whole number 5, but must be lower-case letters, digits, - and _, beginning "
      "with a letter "
      "or digit, at most 63 | write app = \"shop\"",
      "2:10 error: the service \"a\" has no command | add command = \"…\" here, or a line for it to the "
      "Procfile",
      "3:13 error: `instances` is the whole number -1, but must be a whole number from 0 to 1000 | ",
      "5:11 error: there is no service \"zebra\" | there is a; or add [service.zebra]"}},
};

std::string case_name(const testing::TestParamInfo<Case>& info) {
    return info.param.what;
}

INSTANTIATE_TEST_SUITE_P(syntax, Errors, testing::ValuesIn(syntax), case_name);
INSTANTIATE_TEST_SUITE_P(unknown, Errors, testing::ValuesIn(unknown), case_name);
INSTANTIATE_TEST_SUITE_P(values, Errors, testing::ValuesIn(values), case_name);
INSTANTIATE_TEST_SUITE_P(names, Errors, testing::ValuesIn(names), case_name);
INSTANTIATE_TEST_SUITE_P(routes, Errors, testing::ValuesIn(routes), case_name);
INSTANTIATE_TEST_SUITE_P(contradictions, Errors, testing::ValuesIn(contradictions), case_name);

TEST(Errors, are_rendered_as_a_compiler_does) {
    const Source source{"havn.toml", "app = \"shop\"\n[service.å]\n\tcommand = 5\n"};
    EXPECT_EQ(render({{Diagnostic::Severity::error, "havn.toml", 3, 13, "wrong", "write this"},
                      {Diagnostic::Severity::warning, "havn.toml", 0, 0, "all of it", ""},
                      {Diagnostic::Severity::error, "Procfile", 1, 1, "elsewhere\x1b[2J", ""}},
                     {source}),
              "havn.toml:3:13: error: wrong\n"
              "   command = 5\n"
              "              ^\n"
              "  hint: write this\n"
              "havn.toml: warning: all of it\n"
              "Procfile:1:1: error: elsewhere [2J\n");
}

}  // namespace
}  // namespace havn::manifest
