#include "base/text/units.h"

#include "base/text/ascii.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>

namespace havn {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array<Unit, 5> duration_units{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 5> size_units{
    {{"T", 1ull << 40}, {"G", 1ull << 30}, {"M", 1ull << 20}, {"K", 1ull << 10}, {"B", 1}}};

constexpr std::uint64_t duration_max = 1ull << 53;
constexpr std::uint64_t size_max = std::numeric_limits<std::int64_t>::max();

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Eats a whole number from the front. Empty: none there, or it does not fit 64 bits.
std::optional<std::uint64_t> take_number(std::string_view& text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end == text.data()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

std::string_view take_letters(std::string_view& text) {
    std::size_t length = 0;
    while (length < text.size() && !is_digit(text[length])) ++length;
    const auto letters = text.substr(0, length);
    text.remove_prefix(length);
    return letters;
}

// `total` + `number` × `factor`, or nothing when that passes `max`.
std::optional<std::uint64_t> add_scaled(std::uint64_t total, std::uint64_t number, std::uint64_t factor,
                                        std::uint64_t max) {
    if (number > max / factor) return std::nullopt;
    const auto scaled = number * factor;
    if (scaled > max - total) return std::nullopt;
    return total + scaled;
}

std::unexpected<Error> bad_duration(std::string_view text) {
    return fail(Error::Kind::invalid, fmt::format("\"{}\" is not a duration", text),
                "write whole numbers with the units d, h, m, s, ms, such as \"50ms\", \"5s\" or \"1m30s\"");
}

std::unexpected<Error> bad_size(std::string_view text) {
    return fail(
        Error::Kind::invalid, fmt::format("\"{}\" is not a size", text),
        "write a whole number with one of the units B, K, M, G, T, such as \"64K\", \"256M\" or \"1G\"");
}

// "M", "mb" and "MiB" are all M; "B" is B.
std::optional<std::uint64_t> size_factor(std::string_view letters) {
    std::string unit;
    for (const char c : letters) unit += ascii_upper(c);
    if (unit.size() == 3 && unit.ends_with("IB")) unit.resize(1);
    if (unit.size() == 2 && unit.ends_with('B') && unit != "BB") unit.resize(1);
    for (const auto& known : size_units) {
        if (known.name == unit) return known.factor;
    }
    return std::nullopt;
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
    std::uint64_t total = 0;
    auto rest = text;
    std::size_t first_allowed = 0;  // units come largest first, each at most once
    do {
        const auto number = take_number(rest);
        const auto letters = take_letters(rest);
        if (!number) return bad_duration(text);
        std::size_t index = first_allowed;
        while (index < duration_units.size() && duration_units[index].name != letters) ++index;
        if (index == duration_units.size()) return bad_duration(text);
        const auto sum = add_scaled(total, *number, duration_units[index].factor, duration_max);
        if (!sum) return bad_duration(text);
        total = *sum;
        first_allowed = index + 1;
    } while (!rest.empty());
    return milliseconds(static_cast<std::int64_t>(total));
}

Result<std::uint64_t> parse_size(std::string_view text) {
    auto rest = text;
    const auto number = take_number(rest);
    const auto factor = size_factor(rest);
    if (!number || !factor) return bad_size(text);
    const auto size = add_scaled(0, *number, *factor, size_max);
    if (!size) return bad_size(text);
    return *size;
}

std::string format_duration(milliseconds duration) {
    auto left = static_cast<std::uint64_t>(duration.count());
    if (left == 0) return "0s";
    std::string text;
    for (const auto& unit : duration_units) {
        if (left >= unit.factor) text += fmt::format("{}{}", left / unit.factor, unit.name);
        left %= unit.factor;
    }
    return text;
}

std::string format_size(std::uint64_t bytes) {
    for (const auto& unit : size_units) {
        if (bytes >= unit.factor && bytes % unit.factor == 0) {
            return fmt::format("{}{}", bytes / unit.factor, unit.name);
        }
    }
    return "0B";
}

}  // namespace havn
