#include "wire/amqp/table.h"

#include <gtest/gtest.h>

namespace havn::amqp {
namespace {

using namespace std::string_view_literals;

std::string one(std::string_view value) {
    return "\x01k" + std::string(value);
}  // {"k": value}

struct TypeCase {
    std::string_view name, bytes;  // letter and value
};

constexpr TypeCase every_type[] = {
    {"bool", "t\x01"sv},
    {"int8", "b\xfe"sv},
    {"uint8", "B\xfe"sv},
    {"int16", "s\xff\xfe"sv},
    {"uint16", "u\xff\xfe"sv},
    {"int32", "I\xff\xff\xff\xfe"sv},
    {"uint32", "i\xff\xff\xff\xfe"sv},
    {"int64", "l\xff\xff\xff\xff\xff\xff\xff\xfe"sv},
    {"uint64", "L\xff\xff\xff\xff\xff\xff\xff\xfe"sv},
    {"float", "f\x3f\x80\0\0"sv},
    {"double", "d\x3f\xf0\0\0\0\0\0\0"sv},
    {"decimal", "D\x02\0\0\0\x64"sv},
    {"string",
     "S\0\0\0\x03"
     "abc"sv},
    {"bytes",
     "x\0\0\0\x03"
     "abc"sv},
    {"array",
     "A\0\0\0\x04"
     "t\x01t\0"sv},
    {"timestamp", "T\0\0\0\0\x65\0\0\0"sv},
    {"table", "F\0\0\0\x04\x01kt\x01"sv},
    {"void", "V"sv},
};

class EveryType : public ::testing::TestWithParam<TypeCase> {};

TEST_P(EveryType, is_read_and_written_back) {
    const std::string bytes = one(GetParam().bytes);
    ASSERT_TRUE(is_valid_table(bytes));
    TableReader reader(Table{bytes});
    const auto entry = reader.next();
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->name, "k");
    EXPECT_EQ(entry->value.type, GetParam().bytes[0]);
    EXPECT_FALSE(reader.next());
    EXPECT_EQ(TableWriter().value("k", entry->value).bytes(), bytes);
}

TEST_P(EveryType, is_malformed_when_cut_short) {
    const std::string bytes = one(GetParam().bytes);
    for (std::size_t size = 1; size < bytes.size(); ++size) {
        EXPECT_FALSE(is_valid_table(bytes.substr(0, size))) << size;
    }
}

INSTANTIATE_TEST_SUITE_P(Types, EveryType, ::testing::ValuesIn(every_type),
                         [](const auto& info) { return std::string(info.param.name); });

std::optional<std::int64_t> integer(std::string_view value) {
    return Value{value[0], value.substr(1)}.integer();
}

TEST(Integers, of_every_width_have_their_value) {
    EXPECT_EQ(integer("b\xfe"sv), -2);
    EXPECT_EQ(integer("B\xfe"sv), 254);
    EXPECT_EQ(integer("s\xff\xfe"sv), -2);
    EXPECT_EQ(integer("u\xff\xfe"sv), 65'534);
    EXPECT_EQ(integer("I\xff\xff\xff\xfe"sv), -2);
    EXPECT_EQ(integer("i\xff\xff\xff\xfe"sv), 4'294'967'294);
    EXPECT_EQ(integer("l\xff\xff\xff\xff\xff\xff\xff\xfe"sv), -2);
    EXPECT_EQ(integer("L\x7f\xff\xff\xff\xff\xff\xff\xff"sv), INT64_MAX);
    EXPECT_EQ(integer("L\x80\0\0\0\0\0\0\0"sv), std::nullopt) << "more than fits";
    EXPECT_EQ(integer("t\x01"sv), std::nullopt);
}

TEST(Integers, are_equivalent_by_value_whatever_their_width) {
    const Value small{'b', "\x05"sv}, large{'l', "\0\0\0\0\0\0\0\x05"sv}, other{'l', "\0\0\0\0\0\0\0\x06"sv};
    EXPECT_TRUE(small.equivalent(large));
    EXPECT_FALSE(small.equivalent(other));
    EXPECT_FALSE(small.equivalent(Value{'S', "\x05"sv}));
}

TEST(ATable, of_an_unknown_type_is_malformed) {
    EXPECT_FALSE(is_valid_table(one("?")));
}

TEST(ATable, that_is_wrong_deep_inside_is_malformed) {
    EXPECT_FALSE(is_valid_table(one("F\0\0\0\x03\x01kt"sv)));
    EXPECT_FALSE(is_valid_table(one("A\0\0\0\x01t"sv)));
}

TEST(ATable, nested_without_end_is_malformed) {
    std::string bytes;
    for (int depth = 1; depth < table_depth_max; ++depth) bytes = TableWriter().table("k", {bytes}).bytes();
    EXPECT_TRUE(is_valid_table(bytes));
    bytes = TableWriter().table("k", {bytes}).bytes();
    EXPECT_FALSE(is_valid_table(bytes));
}

TEST(ATable, is_searched_by_name) {
    TableWriter table;
    table.integer("a", 1).text("b", "two").int32("c", 3).boolean("d", true).timestamp("e", 5);
    EXPECT_EQ(find(table.table(), "b")->text(), "two");
    EXPECT_EQ(find(table.table(), "c")->integer(), 3);
    EXPECT_EQ(find(table.table(), "d")->boolean(), true);
    EXPECT_FALSE(find(table.table(), "z"));
}

TEST(AnArray, gives_its_elements_in_order) {
    std::string elements;
    append_value(elements, {'S', "first"});
    append_value(elements, {'t', "\x01"});
    ArrayReader reader(elements);
    EXPECT_EQ(reader.next()->text(), "first");
    EXPECT_EQ(reader.next()->boolean(), true);
    EXPECT_FALSE(reader.next());
}

}  // namespace
}  // namespace havn::amqp
