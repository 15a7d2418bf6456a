#include "base/wall_time.h"

#include <algorithm>
#include <charconv>

namespace havn {

std::string to_rfc3339(WallTime time) {
    std::string text(rfc3339_size, '\0');
    write_rfc3339(time, std::span<char, rfc3339_size>(text));
    return text;
}

void write_rfc3339(WallTime time, std::span<char, rfc3339_size> out) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(std::chrono::floor<milliseconds>(time - day));
    std::ranges::copy(std::string_view("0000-00-00T00:00:00.000Z"), out.begin());
    const auto put = [&](std::size_t at, unsigned value, std::size_t digits) {
        for (std::size_t i = digits; i-- > 0; value /= 10) out[at + i] = static_cast<char>('0' + value % 10);
    };
    put(0, static_cast<unsigned>(static_cast<int>(date.year())), 4);
    put(5, static_cast<unsigned>(date.month()), 2);
    put(8, static_cast<unsigned>(date.day()), 2);
    put(11, static_cast<unsigned>(clock.hours().count()), 2);
    put(14, static_cast<unsigned>(clock.minutes().count()), 2);
    put(17, static_cast<unsigned>(clock.seconds().count()), 2);
    put(20, static_cast<unsigned>(clock.subseconds().count()), 3);
}

namespace {

// Takes `digits` digits and the character after them; -1 when they are not there.
int take(std::string_view& text, std::size_t digits, char after) {
    const std::size_t size = digits + (after != '\0' ? 1 : 0);
    if (text.size() < size || (after != '\0' && text[digits] != after)) return -1;
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
    if (error != std::errc{} || end != text.data() + digits || text[0] == '-') return -1;
    text.remove_prefix(size);
    return value;
}

std::optional<microseconds> take_fraction(std::string_view& text) {
    if (!text.starts_with('.')) return microseconds(0);
    std::size_t digits = 0;
    std::int64_t value = 0;
    for (text.remove_prefix(1); !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1)) {
        if (++digits <= 6) value = value * 10 + (text[0] - '0');
    }
    if (digits == 0) return std::nullopt;
    for (; digits < 6; ++digits) value *= 10;
    return microseconds(value);
}

std::optional<std::chrono::minutes> take_offset(std::string_view text) {
    if (text == "Z" || text == "z") return std::chrono::minutes(0);
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
    const int sign = text[0] == '-' ? -1 : 1;
    text.remove_prefix(1);
    const int hours = take(text, 2, ':');
    const int minutes = take(text, 2, '\0');
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
    return std::chrono::minutes(sign * (hours * 60 + minutes));
}

}  // namespace

std::optional<WallTime> parse_rfc3339(std::string_view text) {
    const int year = take(text, 4, '-'), month = take(text, 2, '-');
    const bool spaced = text.size() > 2 && (text[2] == ' ' || text[2] == 't');
    const int day = take(text, 2, spaced ? text[2] : 'T');
    const int hour = take(text, 2, ':'), minute = take(text, 2, ':'), second = take(text, 2, '\0');
    if (year < 0 || month < 0 || day < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 60) {
        return std::nullopt;
    }
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    const std::optional<microseconds> fraction = take_fraction(text);
    const std::optional<std::chrono::minutes> offset = take_offset(text);
    if (!date.ok() || !fraction || !offset) return std::nullopt;
    return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
           seconds(second) + *fraction - *offset;
}

}  // namespace havn
