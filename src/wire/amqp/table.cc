#include "wire/amqp/table.h"

namespace havn::amqp {

namespace {

constexpr int variable = -1, unknown = -2;

// Bytes of a value of that type, beside the letter.
int size_of_type(char type) {
    switch (type) {
        case 'V':
            return 0;
        case 't':
        case 'b':
        case 'B':
            return 1;
        case 's':
        case 'u':
            return 2;
        case 'I':
        case 'i':
        case 'f':
            return 4;
        case 'D':
            return 5;
        case 'l':
        case 'L':
        case 'd':
        case 'T':
            return 8;
        case 'S':
        case 'x':
        case 'A':
        case 'F':
            return variable;
        default:
            return unknown;
    }
}

Value take_value(Reader& in) {
    Value value;
    value.type = static_cast<char>(in.integer<std::uint8_t>());
    const int size = size_of_type(value.type);
    if (size == unknown) {
        in.fail();
    } else {
        value.bytes = size == variable ? in.long_string() : in.take(static_cast<std::size_t>(size));
    }
    return value;
}

bool is_valid_array(std::string_view bytes, int depth);

bool is_valid_table(std::string_view bytes, int depth);

bool is_valid_nested(const Value& value, int depth) {
    if (value.type == 'F') return is_valid_table(value.bytes, depth + 1);
    if (value.type == 'A') return is_valid_array(value.bytes, depth + 1);
    return true;
}

bool is_valid_table(std::string_view bytes, int depth) {
    if (depth > table_depth_max) return false;
    Reader in(bytes);
    while (!in.at_end()) {
        in.short_string();
        if (!is_valid_nested(take_value(in), depth)) return false;
    }
    return in.ok();
}

bool is_valid_array(std::string_view bytes, int depth) {
    if (depth > table_depth_max) return false;
    Reader in(bytes);
    while (!in.at_end()) {
        if (!is_valid_nested(take_value(in), depth)) return false;
    }
    return in.ok();
}

template <class Integer>
std::int64_t widen(std::string_view bytes) {
    return static_cast<std::int64_t>(load<Integer>(bytes.data()));
}

}  // namespace

bool is_valid_table(std::string_view bytes) {
    return is_valid_table(bytes, 1);
}

std::optional<std::int64_t> Value::integer() const {
    switch (type) {
        case 'b':
            return widen<std::int8_t>(bytes);
        case 'B':
            return widen<std::uint8_t>(bytes);
        case 's':
            return widen<std::int16_t>(bytes);
        case 'u':
            return widen<std::uint16_t>(bytes);
        case 'I':
            return widen<std::int32_t>(bytes);
        case 'i':
            return widen<std::uint32_t>(bytes);
        case 'l':
            return widen<std::int64_t>(bytes);
        case 'L': {
            const auto value = load<std::uint64_t>(bytes.data());
            if (value >> 63) return std::nullopt;
            return static_cast<std::int64_t>(value);
        }
        default:
            return std::nullopt;
    }
}

std::optional<std::string_view> Value::text() const {
    if (type != 'S' && type != 'x') return std::nullopt;
    return bytes;
}

std::optional<bool> Value::boolean() const {
    if (type != 't') return std::nullopt;
    return bytes[0] != 0;
}

std::optional<Table> Value::table() const {
    if (type != 'F') return std::nullopt;
    return Table{bytes};
}

std::optional<std::string_view> Value::array() const {
    if (type != 'A') return std::nullopt;
    return bytes;
}

bool Value::equivalent(const Value& other) const {
    if (is_integer() && other.is_integer()) {
        const auto mine = integer(), theirs = other.integer();
        if (mine || theirs) return mine == theirs;
    }
    return type == other.type && bytes == other.bytes;
}

std::optional<TableReader::Entry> TableReader::next() {
    if (in_.at_end()) return std::nullopt;
    Entry entry;
    entry.name = in_.short_string();
    entry.value = take_value(in_);
    return entry;
}

std::optional<Value> ArrayReader::next() {
    if (in_.at_end()) return std::nullopt;
    return take_value(in_);
}

std::optional<Value> find(Table table, std::string_view name) {
    TableReader reader(table);
    while (auto entry = reader.next()) {
        if (entry->name == name) return entry->value;
    }
    return std::nullopt;
}

void append_value(std::string& out, const Value& value) {
    out.push_back(value.type);
    if (size_of_type(value.type) == variable) {
        store(extend(out, 4), static_cast<std::uint32_t>(value.bytes.size()));
    }
    out.append(value.bytes);
}

void TableWriter::head(std::string_view name, char type) {
    HAVN_ASSERT(name.size() <= 255, "a short string");
    bytes_.push_back(static_cast<char>(name.size()));
    bytes_.append(name);
    bytes_.push_back(type);
}

TableWriter& TableWriter::boolean(std::string_view name, bool value) {
    head(name, 't');
    bytes_.push_back(value ? 1 : 0);
    return *this;
}

TableWriter& TableWriter::integer(std::string_view name, std::int64_t value) {
    head(name, 'l');
    store(extend(bytes_, 8), value);
    return *this;
}

TableWriter& TableWriter::int32(std::string_view name, std::int32_t value) {
    head(name, 'I');
    store(extend(bytes_, 4), value);
    return *this;
}

TableWriter& TableWriter::timestamp(std::string_view name, std::uint64_t seconds) {
    head(name, 'T');
    store(extend(bytes_, 8), seconds);
    return *this;
}

TableWriter& TableWriter::text(std::string_view name, std::string_view value) {
    return this->value(name, {'S', value});
}

TableWriter& TableWriter::table(std::string_view name, Table value) {
    return this->value(name, {'F', value.bytes});
}

TableWriter& TableWriter::array(std::string_view name, std::string_view elements) {
    return value(name, {'A', elements});
}

TableWriter& TableWriter::value(std::string_view name, const Value& value) {
    HAVN_ASSERT(name.size() <= 255, "a short string");
    bytes_.push_back(static_cast<char>(name.size()));
    bytes_.append(name);
    append_value(bytes_, value);
    return *this;
}

}  // namespace havn::amqp
