#include "base/json.h"

#include <gtest/gtest.h>

#include "base/json_reader.h"

namespace havn {

TEST(Json, what_is_no_json_is_an_error_and_no_exception) {
    for (const std::string text : {"", "{", "[1,]", "nul", "\"\\u12", "\xff", "1e9999", "[-1e400]", "1 2"}) {
        const Result<Json> json = parse_json(text);
        ASSERT_FALSE(json.has_value()) << text;
        EXPECT_EQ(json.error().kind, Error::Kind::invalid) << text;
        EXPECT_FALSE(json.error().message.empty()) << text;
    }
}

TEST(Json, depth_is_bounded) {
    const auto nested = [](std::size_t levels) {
        return std::string(levels, '[') + std::string(levels, ']');
    };
    EXPECT_TRUE(parse_json(nested(json_depth_max)).has_value());
    EXPECT_FALSE(parse_json(nested(json_depth_max + 1)).has_value());
    EXPECT_FALSE(parse_json(std::string(5'000'000, '[')).has_value());
    EXPECT_TRUE(parse_json("\"" + std::string(500, '[') + "\"").has_value());
    EXPECT_TRUE(parse_json("\"\\\"" + std::string(500, '[') + "\"").has_value());
}

namespace {

std::string error_of(const JsonReader& reader) {
    const Result<> result = reader.result();
    return result ? "" : result.error().message;
}

}  // namespace

TEST(JsonReader, reads_values_and_leaves_defaults) {
    const Json json = parse_json(R"({"name":"a","on":true,"count":7,"wait_ms":20,"list":["x","y"],
        "numbers":[1,2],"map":{"k":"v"},"one":{"name":"b"},"many":[{"name":"c"},{"name":"d"}],"none":null})")
                          .value();
    JsonReader reader(json, "the test");
    std::string name, absent = "kept";
    bool on = false;
    std::uint16_t count = 0;
    milliseconds wait{1};
    std::vector<std::string> list, names;
    std::vector<std::uint32_t> numbers;
    std::map<std::string, std::string> map;
    reader.required_text("name", name);
    reader.text("absent", absent);
    reader.text("none", absent);
    reader.flag("on", on);
    reader.number("count", count, 1, 10);
    reader.duration("wait_ms", wait);
    reader.texts("list", list);
    reader.numbers("numbers", numbers, 1, 2);
    reader.texts_by_name("map", map);
    const auto read = [&](JsonReader& item) { item.text("name", names.emplace_back()); };
    reader.object("one", read);
    reader.objects("many", read);
    reader.refuse_others();
    EXPECT_EQ(error_of(reader), "");
    EXPECT_EQ(name, "a");
    EXPECT_EQ(absent, "kept");
    EXPECT_TRUE(on);
    EXPECT_EQ(count, 7);
    EXPECT_EQ(wait, milliseconds(20));
    EXPECT_EQ(list, (std::vector<std::string>{"x", "y"}));
    EXPECT_EQ(numbers, (std::vector<std::uint32_t>{1, 2}));
    EXPECT_EQ(map, (std::map<std::string, std::string>{{"k", "v"}}));
    EXPECT_EQ(names, (std::vector<std::string>{"b", "c", "d"}));
}

TEST(JsonReader, the_first_error_names_its_path_what_was_expected_and_what_was_found) {
    struct Row {
        const char* json;
        const char* expected;
    };
    for (const Row& row : std::initializer_list<Row>{
             {R"([])", "the test: expected an object, found []"},
             {R"({"count":-1})", "count: expected a whole number from 0 to 255, found -1"},
             {R"({"count":256})", "count: expected a whole number from 0 to 255, found 256"},
             {R"({"count":1.5})", "count: expected a whole number from 0 to 255, found 1.5"},
             {R"({"count":18446744073709551616})",
              "count: expected a whole number from 0 to 255, found 1.8446744073709552e+19"},
             {R"({"many":{}})", "many: expected a list of objects, found {}"},
             {R"({"many":[{},1]})", "many[1]: expected an object, found 1"},
             {R"({"many":[{"inner":{"flag":3}}]})", "many[0].inner.flag: expected true or false, found 3"},
             {R"({"many":[{"other":1}]})", "many[0].other: no such key"},
             {R"({"map":{"k":"a\u0000b"}})", "map.k: expected a string, without NUL, found \"a\\u0000b\""},
             {R"({"count":"x","many":1})", "count: expected a whole number from 0 to 255, found \"x\""},
         }) {
        const Json json = parse_json(row.json).value();
        JsonReader reader(json, "the test");
        std::uint8_t count = 0;
        std::map<std::string, std::string> map;
        reader.number("count", count, 0, 1'000);
        reader.texts_by_name("map", map);
        reader.objects("many", [](JsonReader& item) {
            item.object("inner", [](JsonReader& inner) {
                bool flag = false;
                inner.flag("flag", flag);
            });
            item.refuse_others();
        });
        EXPECT_EQ(error_of(reader), row.expected) << row.json;
    }
}

TEST(integer_of, takes_what_is_whole_and_in_range) {
    struct Row {
        const char* json;
        std::optional<int> expected;
    };
    for (const auto& [json, expected] : std::initializer_list<Row>{{"0", 0},
                                                                   {"-5", -5},
                                                                   {"100", 100},
                                                                   {"-6", {}},
                                                                   {"101", {}},
                                                                   {"4294967296", {}},
                                                                   {"1.0", {}},
                                                                   {"7.72e82", {}},
                                                                   {"-9223372036854775808", {}},
                                                                   {"18446744073709551615", {}},
                                                                   {"\"1\"", {}},
                                                                   {"true", {}},
                                                                   {"null", {}},
                                                                   {"[1]", {}}}) {
        EXPECT_EQ(integer_of<int>(*parse_json(json), -5, 100), expected) << json;
    }
    EXPECT_EQ(integer_of<std::uint64_t>(*parse_json("18446744073709551615")), UINT64_MAX);
    EXPECT_EQ(integer_of<std::uint16_t>(*parse_json("65536")), std::nullopt);
}

TEST(integer_of, what_is_missing_or_out_of_range_is_thrown_as_json_throws) {
    const Json json = *parse_json(R"({"port": 70000})");
    EXPECT_THROW(integer_at<std::uint16_t>(json, "port"), Json::exception);
    EXPECT_THROW(integer_at<int>(json, "pid"), Json::exception);
    EXPECT_EQ(integer_at<int>(json, "port"), 70000);
}

TEST(JsonReader, a_missing_required_text_is_named) {
    const Json json = Json::object();
    JsonReader reader(json, "the test");
    std::string name;
    reader.required_text("name", name);
    EXPECT_EQ(error_of(reader), "name is missing");
}

TEST(JsonReader, a_long_list_is_refused_before_it_is_read) {
    Json json{{"list", Json::array()}};
    for (std::size_t i = 0; i <= JsonReader::list_max; ++i) json["list"].push_back("x");
    JsonReader reader(json, "the test");
    std::vector<std::string> list;
    reader.texts("list", list);
    EXPECT_EQ(error_of(reader), "list: a list of at most 100000 elements is read, this one has 100001");
    EXPECT_TRUE(list.empty());
}

}  // namespace havn
