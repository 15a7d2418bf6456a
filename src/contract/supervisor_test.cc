#include "contract/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace havn::supervisor {
namespace {

Desired example() {
    Desired desired;
    desired.revision = 7;
    desired.app = "shop";
    desired.embedded_broker = false;
    desired.gateway_threads = 2;
    desired.listeners = {{"edge", "0.0.0.0:8080", "gateway"}, {"amqp", "unix:run/amqp.sock", "broker"}};
    Program web;
    web.name = "web";
    web.instances = 3;
    web.command = "python3 web.py";
    web.directory = "/srv/shop";
    web.user = "shop";
    web.environment = {{"A", "1"}, {"B", ""}};
    web.depends_on = {"cart"};
    web.health = HealthCheck{"/up", milliseconds(500), milliseconds(200), 5};
    web.start_timeout = milliseconds(9'000);
    Program cart;
    cart.name = "cart";
    cart.kind = Kind::worker;
    cart.command = "cart";
    cart.directory = "/";
    cart.startsecs = milliseconds(0);
    cart.startretries = 9;
    cart.stop_timeout = milliseconds(60'000);
    cart.log_bytes_max = 1'000;
    cart.log_backups = 0;
    desired.programs = {web, cart};
    return desired;
}

std::string error_of(const Json& json) {
    Result<Desired> desired = desired_from_json(json);
    return desired ? "" : desired.error().message;
}

TEST(Desired, round_trips_through_json) {
    const Desired desired = example();
    Result<Desired> back = desired_from_json(parse_json(to_json(desired).dump()).value());
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(back->revision, desired.revision);
    EXPECT_EQ(back->app, desired.app);
    EXPECT_EQ(back->embedded_broker, desired.embedded_broker);
    EXPECT_EQ(back->gateway_threads, desired.gateway_threads);
    EXPECT_EQ(back->listeners, desired.listeners);
    EXPECT_EQ(back->programs, desired.programs);
}

TEST(Desired, an_error_names_the_key_what_was_expected_and_what_was_found) {
    Json json = to_json(example());
    json["programs"][1]["startretries"] = "three";
    EXPECT_EQ(error_of(json),
              "programs[1].startretries: expected a whole number from 0 to 1000000, found \"three\"");
    json = to_json(example());
    json["programs"][0]["health"]["interval_ms"] = 0;
    EXPECT_EQ(error_of(json),
              "programs[0].health.interval_ms: expected a whole number from 1 to 86400000, found 0");
    json = to_json(example());
    json["programs"][0].erase("command");
    EXPECT_EQ(error_of(json), "programs[0].command is missing");
    json = to_json(example());
    json["programs"][0]["comand"] = "x";
    EXPECT_EQ(error_of(json), "programs[0].comand: no such key");
    EXPECT_EQ(error_of(Json::array()), "the desired state: expected an object, found []");
}

TEST(Desired, a_listener_belongs_to_a_part_that_takes_one) {
    Json json = to_json(example());
    json["listeners"][0]["part"] = "control";
    EXPECT_EQ(error_of(json), "");
    json["listeners"][0]["part"] = "keeper";
    EXPECT_EQ(error_of(json), "listeners[0].part: expected gateway, broker or control, found 'keeper'");
}

TEST(Desired, a_name_cannot_leave_the_log_folder_or_pose_as_a_part) {
    Json json = to_json(example());
    json["programs"][0]["name"] = "../web";
    EXPECT_THAT(error_of(json), testing::HasSubstr("expected lower-case letters, digits, - and _"));
    json["programs"][0]["name"] = "gateway";
    EXPECT_THAT(error_of(json), testing::HasSubstr("part of the platform"));
}

TEST(Desired, what_does_not_fit_together_is_refused) {
    Desired desired = example();
    desired.programs[1].depends_on = {"web"};
    EXPECT_EQ(error_of(to_json(desired)), "depends_on goes in a circle: web -> cart -> web");
    desired.programs[1].depends_on = {"nobody"};
    EXPECT_EQ(error_of(to_json(desired)), "'cart' depends on 'nobody', which does not exist");
    desired = example();
    desired.programs[1].name = "web";
    EXPECT_EQ(error_of(to_json(desired)), "two programs are named 'web'");
    desired = example();
    desired.listeners[1].address = desired.listeners[0].address;
    EXPECT_EQ(error_of(to_json(desired)), "two listeners have the address 0.0.0.0:8080");
}

TEST(Desired, applications_have_their_own_names_and_dependencies) {
    Desired desired = example();
    desired.programs[0].app = desired.programs[1].app = "shop";
    Program other = desired.programs[1];
    other.app = "blog";
    desired.programs.push_back(other);
    EXPECT_EQ(error_of(to_json(desired)), "");
    Result<Desired> back = desired_from_json(to_json(desired));
    EXPECT_EQ(back->programs, desired.programs);
    desired.programs[0].app = "blog";
    EXPECT_EQ(error_of(to_json(desired)), "");
    desired.programs[0].app = "third";
    EXPECT_EQ(error_of(to_json(desired)), "'web' depends on 'cart', which does not exist");
    desired.programs[0].app = desired.programs[2].app = "shop";
    EXPECT_EQ(error_of(to_json(desired)), "two programs are named 'shop/cart'");
    desired.programs[0].app = "a/b";
    EXPECT_THAT(error_of(to_json(desired)), testing::HasSubstr("programs[0].app: expected"));
    EXPECT_EQ(shown_name("", "web"), "web");
    EXPECT_EQ(shown_name("shop", "web"), "shop/web");
}

TEST(Desired, the_version_before_is_read_and_a_later_one_refused) {
    Json json = to_json(example());
    json.erase("version");
    for (Json& program : json["programs"]) program.erase("app");
    EXPECT_EQ(desired_from_json(json)->programs, example().programs);
    json["version"] = Desired::version + 1;
    EXPECT_THAT(error_of(json), testing::HasSubstr("version: 3 is of a later Havn"));
}

TEST(Desired, an_environment_cannot_smuggle_a_second_variable) {
    Desired desired = example();
    desired.programs[0].environment["A=B"] = "x";
    EXPECT_THAT(error_of(to_json(desired)), testing::HasSubstr("environment.A=B: expected"));
}

}  // namespace
}  // namespace havn::supervisor
