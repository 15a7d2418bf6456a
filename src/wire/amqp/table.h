// Field tables and arrays (specification 4.2.5.5, with the type letters RabbitMQ and its clients use).
//
// A table is kept as the bytes it came in; is_valid_table() has seen them once, so reading never fails.
//
//   t bool   b B int8   s int16 / u uint16   I int32 / i uint32   l int64   L uint64   f float   d double
//   D decimal   S long string   x bytes   A array   T timestamp   F table   V void
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/amqp/bytes.h"
#include "wire/amqp/types.h"

namespace havn::amqp {

inline constexpr int table_depth_max = 32;  // tables and arrays within one another

// Names, type letters, lengths and nesting are right, to the last byte. `bytes` without the table's own
// length.
bool is_valid_table(std::string_view bytes);

// One value: its letter and its bytes. The interpretation is up to the caller:
struct Value {
    char type = 'V';
    std::string_view bytes;  // S, x, A, F: without their length

    bool is_integer() const { return std::string_view("bBsuIilL").contains(type); }
    std::optional<std::int64_t> integer() const;   // of any width, signed or not; nothing above 2^63-1
    std::optional<std::string_view> text() const;  // S, or x
    std::optional<bool> boolean() const;
    std::optional<Table> table() const;
    std::optional<std::string_view> array() const;  // for ArrayReader

    // Equal as arguments: integers by value whatever their width, else same letter and same bytes.
    bool equivalent(const Value& other) const;
};

// while (auto entry = reader.next()) … entry->name, entry->value
class TableReader {
  public:
    struct Entry {
        std::string_view name;
        Value value;
    };

    explicit TableReader(Table table) : in_(table.bytes) {}  // a valid one
    std::optional<Entry> next();

  private:
    Reader in_;
};

class ArrayReader {
  public:
    explicit ArrayReader(std::string_view array) : in_(array) {}
    std::optional<Value> next();

  private:
    Reader in_;
};

// The first value of that name.
std::optional<Value> find(Table table, std::string_view name);

// Builds a table's bytes; what it returns by table() lives as long as the writer does.
class TableWriter {
  public:
    TableWriter& boolean(std::string_view name, bool value);
    TableWriter& integer(std::string_view name, std::int64_t value);   // l
    TableWriter& int32(std::string_view name, std::int32_t value);     // I
    TableWriter& text(std::string_view name, std::string_view value);  // S
    TableWriter& timestamp(std::string_view name, std::uint64_t seconds);
    TableWriter& table(std::string_view name, Table value);
    TableWriter& array(std::string_view name, std::string_view elements);
    TableWriter& value(std::string_view name, const Value& value);

    Table table() const { return {bytes_}; }
    const std::string& bytes() const { return bytes_; }

  private:
    void head(std::string_view name, char type);

    std::string bytes_;
};

// One value as it stands in an array: letter, length where the type has one, bytes.
void append_value(std::string& out, const Value& value);

}  // namespace havn::amqp
