#include "base/json_reader.h"

#include <algorithm>

namespace havn {

namespace {

constexpr std::size_t shown_max = 60;  // bytes of a value in a message

}  // namespace

JsonReader::JsonReader(const Json& json, std::string document)
    : root_(this), json_(json), path_(std::move(document)) {
    if (!json.is_object()) wrong("", "an object", json);
}

JsonReader::JsonReader(JsonReader& parent, const Json& json, std::string path)
    : root_(parent.root_), json_(json), path_(std::move(path)) {
    if (!json.is_object()) wrong("", "an object", json);
}

std::string JsonReader::full(std::string_view key) const {
    if (key.empty()) return path_;
    return root_ == this ? std::string(key) : fmt::format("{}.{}", path_, key);
}

bool JsonReader::has(std::string_view key) const {
    if (!json_.is_object()) return false;
    const auto found = json_.find(key);
    return found != json_.end() && !found->is_null();
}

const Json* JsonReader::find(std::string_view key) {
    asked_.emplace(key);
    return failed() || !has(key) ? nullptr : &*json_.find(key);
}

const Json* JsonReader::find_list(std::string_view key, std::string_view expected) {
    const Json* found = find(key);
    if (!found) return nullptr;
    if (!found->is_array()) {
        wrong(key, expected, *found);
        return nullptr;
    }
    if (found->size() > list_max) {
        refuse(key, fmt::format("a list of at most {} elements is read, this one has {}", list_max,
                                found->size()));
        return nullptr;
    }
    return found;
}

namespace {

// NUL is refused because texts become paths, arguments and environment variables.
bool is_text(const Json& value, std::size_t bytes_max) {
    if (!value.is_string()) return false;
    const auto& text = value.get_ref<const std::string&>();
    return text.size() <= bytes_max && text.find('\0') == std::string::npos;
}

}  // namespace

void JsonReader::text(std::string_view key, std::string& value, std::size_t bytes_max) {
    const Json* found = find(key);
    if (!found) return;
    if (!found->is_string()) return wrong(key, "a string", *found);
    if (!is_text(*found, bytes_max)) {
        return wrong(key, fmt::format("a string of at most {} bytes, without NUL", bytes_max), *found);
    }
    value = found->get<std::string>();
}

void JsonReader::required_text(std::string_view key, std::string& value) {
    text(key, value);
    if (!failed() && !has(key)) root_->error_ = Error{Error::Kind::invalid, full(key) + " is missing", {}};
}

void JsonReader::flag(std::string_view key, bool& value) {
    const Json* found = find(key);
    if (!found) return;
    if (!found->is_boolean()) return wrong(key, "true or false", *found);
    value = found->get<bool>();
}

namespace {

std::optional<std::uint64_t> whole_number(const Json& value) {
    if (value.is_number_unsigned()) return value.get<std::uint64_t>();
    if (!value.is_number_integer() || value.get<std::int64_t>() < 0) return std::nullopt;
    return static_cast<std::uint64_t>(value.get<std::int64_t>());
}

}  // namespace

void JsonReader::read_number(std::string_view key, std::uint64_t& value, std::uint64_t low,
                             std::uint64_t high) {
    const Json* found = find(key);
    if (!found) return;
    const std::optional<std::uint64_t> number = whole_number(*found);
    if (!number || *number < low || *number > high) {
        return wrong(key, fmt::format("a whole number from {} to {}", low, high), *found);
    }
    value = *number;
}

void JsonReader::duration(std::string_view key, milliseconds& value, std::uint64_t low_ms,
                          std::uint64_t high_ms) {
    std::uint64_t count = static_cast<std::uint64_t>(value.count());
    read_number(key, count, low_ms, high_ms);
    value = milliseconds(count);
}

void JsonReader::texts(std::string_view key, std::vector<std::string>& values) {
    constexpr std::string_view expected = "a list of strings";
    const Json* found = find_list(key, expected);
    if (!found) return;
    values.clear();
    for (const Json& item : *found) {
        if (!is_text(item, text_max)) return wrong(key, expected, *found);
        values.push_back(item.get<std::string>());
    }
}

void JsonReader::numbers(std::string_view key, std::vector<std::uint32_t>& values, std::uint32_t low,
                         std::uint32_t high) {
    const std::string expected = fmt::format("a list of whole numbers from {} to {}", low, high);
    const Json* found = find_list(key, expected);
    if (!found) return;
    values.clear();
    for (const Json& item : *found) {
        const std::optional<std::uint64_t> number = whole_number(item);
        if (!number || *number < low || *number > high) return wrong(key, expected, *found);
        values.push_back(static_cast<std::uint32_t>(*number));
    }
}

void JsonReader::texts_by_name(std::string_view key, std::map<std::string, std::string>& values) {
    constexpr std::string_view expected = "an object of strings, without NUL";
    const Json* found = find(key);
    if (!found) return;
    if (!found->is_object() || found->size() > list_max) return wrong(key, expected, *found);
    values.clear();
    for (const auto& [name, value] : found->items()) {
        if (name.find('\0') != std::string::npos || !is_text(value, text_max)) {
            return wrong(fmt::format("{}.{}", key, name), "a string, without NUL", value);
        }
        values[name] = value.get<std::string>();
    }
}

void JsonReader::wrong(std::string_view key, std::string_view expected, const Json& found) {
    std::string shown = found.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (shown.size() > shown_max) shown = shown.substr(0, shown_max - 3) + "...";
    refuse(key, fmt::format("expected {}, found {}", expected, shown));
}

void JsonReader::refuse(std::string_view key, std::string_view why, std::string remedy) {
    if (failed()) return;
    root_->error_ = Error{Error::Kind::invalid, fmt::format("{}: {}", full(key), why), std::move(remedy)};
}

void JsonReader::refuse_value(std::string_view key, std::string_view expected) {
    wrong(key, expected, has(key) ? *json_.find(key) : Json());
}

void JsonReader::refuse_others() {
    if (failed()) return;
    for (const auto& [key, value] : json_.items()) {
        if (!asked_.contains(key)) return refuse(key, "no such key");
    }
}

Result<> JsonReader::result() const {
    if (root_->error_) return std::unexpected(*root_->error_);
    return {};
}

}  // namespace havn
