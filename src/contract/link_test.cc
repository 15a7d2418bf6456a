#include "contract/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/process_rows.h"

namespace havn::link {
namespace {

template <class Message, class Variant>
Message there_and_back(const Message& message, Result<Variant> (*decode)(Json)) {
    Result<Variant> back = decode(parse_json(to_json(message).dump()).value());
    EXPECT_TRUE(back.has_value()) << back.error().message;
    return std::get<Message>(back.value());
}

TEST(LinkMessages, listeners_carry_name_address_and_kind) {
    const Listeners sent{
        {{"edge", "0.0.0.0:80", ListenerKind::tcp}, {"amqp", "unix:a", ListenerKind::local}}};
    EXPECT_EQ(there_and_back(sent, to_part_from_json).entries, sent.entries);
    EXPECT_EQ(to_json(sent)["listeners"][1],
              (Json{{"name", "amqp"}, {"address", "unix:a"}, {"kind", "unix"}}));
}

TEST(LinkMessages, a_listener_without_a_kind_has_that_of_its_address) {
    const Json message = parse_json(R"({"type":"listeners","listeners":[{"name":"a","address":"unix:run/a"},
                                        {"name":"b","address":"[::1]:1"}]})")
                             .value();
    const Listeners read = std::get<Listeners>(to_part_from_json(message).value());
    EXPECT_EQ(read.entries[0].kind, ListenerKind::local);
    EXPECT_EQ(read.entries[1].kind, ListenerKind::tcp);
}

TEST(LinkMessages, the_endpoints_are_those_that_were_sent) {
    const Endpoints sent{7, {{"web", {{"127.0.0.1:1", 1}, {"10.0.0.2:80", 2}}}, {"shop/api", {}}}};
    const Endpoints back = there_and_back(sent, to_part_from_json);
    EXPECT_EQ(back.version, 7u);
    EXPECT_EQ(back.services, sent.services);
}

TEST(LinkMessages, a_reply_brings_its_error_whole) {
    const Reply back =
        there_and_back(Reply{3, Error{Error::Kind::denied, "no", "ask root"}}, to_part_from_json);
    EXPECT_EQ(back.id, 3u);
    EXPECT_EQ(back.error->kind, Error::Kind::denied);
    EXPECT_EQ(back.error->message, "no");
    EXPECT_EQ(back.error->remedy, "ask root");
    EXPECT_FALSE(there_and_back(Reply{4, {}}, to_part_from_json).error.has_value());
}

TEST(LinkMessages, what_parts_say_is_read_as_it_was_said) {
    EXPECT_EQ(there_and_back(Applied{9}, to_supervisor_from_json).version, 9u);
    EXPECT_EQ(there_and_back(Drained{"127.0.0.1:9"}, to_supervisor_from_json).endpoint, "127.0.0.1:9");
    EXPECT_TRUE(there_and_back(Pong{true}, to_supervisor_from_json).ready);
    EXPECT_EQ(there_and_back(Stop{5}, to_supervisor_from_json).id, 5u);
    const Restart restart = there_and_back(Restart{6, "shop", "web", 2}, to_supervisor_from_json);
    EXPECT_EQ(std::tie(restart.app, restart.name, restart.instance), std::make_tuple("shop", "web", 2u));
    EXPECT_EQ(there_and_back(Restart{6, "", "web", 0}, to_supervisor_from_json).instance, 0u);
    const Apply apply = there_and_back(Apply{8, {{"revision", 1}}, {{"file", "x"}}}, to_supervisor_from_json);
    EXPECT_EQ(apply.desired["revision"], 1);
    EXPECT_EQ(apply.origin["file"], "x");
}

TEST(LinkMessages, what_is_wrong_is_refused_with_its_place) {
    const auto refusal = [](const char* text) {
        const Json message = parse_json(text).value();
        const Result<ToPart> part = to_part_from_json(message);
        const Result<ToSupervisor> supervisor = to_supervisor_from_json(message);
        EXPECT_TRUE(!part || !supervisor);
        return (part ? supervisor.error() : part.error()).message + "|" +
               (supervisor ? "" : supervisor.error().message);
    };
    EXPECT_THAT(refusal("[]"), testing::HasSubstr("no object"));
    EXPECT_THAT(refusal(R"({"type":"shout"})"), testing::HasSubstr("unknown message 'shout'"));
    EXPECT_THAT(refusal(R"({"type":"listeners","listeners":[{"name":"a"}]})"),
                testing::HasSubstr("listeners[0].address is missing"));
    EXPECT_THAT(refusal(R"({"type":"listeners","listeners":[{"name":"a","address":"b","kind":"pigeon"}]})"),
                testing::HasSubstr("tcp or unix"));
    EXPECT_THAT(refusal(R"({"type":"endpoints","version":1,"services":{"web":[{"instance":0}]}})"),
                testing::HasSubstr("web[0].address is missing"));
    EXPECT_THAT(refusal(R"({"type":"endpoints","version":-1,"services":{}})"), testing::HasSubstr("version"));
    EXPECT_THAT(refusal(R"({"type":"restart","id":1,"name":"web","instance":0})"),
                testing::HasSubstr("expected a whole number from 1"));
    EXPECT_THAT(refusal(R"({"type":"processes","processes":[7]})"), testing::HasSubstr("expected rows"));
    EXPECT_THAT(refusal(R"({"type":"processes","gone":["x"],"processes":[]})"), testing::HasSubstr("gone"));
}

Json row(std::uint64_t id, const char* app, const char* name, int instance, const char* state) {
    return {{"id", id},         {"app", app},    {"name", name}, {"instance", instance},
            {"kind", "worker"}, {"state", state}};
}

Processes read(const std::string& text) {
    return std::get<Processes>(to_part_from_json(parse_json(text).value()).value());
}

TEST(ProcessRows, a_partial_message_changes_what_it_names_and_keeps_the_order) {
    ProcessRows table;
    const Json whole = Json::array({{{"name", "keeper"}, {"kind", "platform"}, {"instance", 1}},
                                    {{"id", 1}, {"name", "control"}, {"kind", "platform"}, {"instance", 1}},
                                    row(5, "", "job", 1, "ready"),
                                    row(6, "", "job", 2, "ready"),
                                    row(7, "", "web", 1, "ready")});
    table.apply(read(processes_text(1, true, whole.dump(), {})));
    EXPECT_EQ(table.rows(), whole);
    const Json changed = Json::array({row(9, "", "job", 3, "starting"), row(5, "", "job", 1, "backoff")});
    table.apply(read(processes_text(2, false, changed.dump(), {6})));
    EXPECT_EQ(table.rows(), Json::array({whole[0], whole[1], changed[1], changed[0], whole[4]}));
    table.apply(read(processes_text(3, false, "[]", {5, 7, 9, 1, 77})));
    EXPECT_EQ(table.rows(), Json::array({whole[0]}));
}

}  // namespace
}  // namespace havn::link
