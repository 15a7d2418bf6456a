#include "gateway/core/turn/turn_clock.h"

namespace havn::gateway {

std::string_view TurnClock::rfc3339() {
    const std::int64_t ms = std::chrono::floor<milliseconds>(wall_.time_since_epoch()).count();
    if (ms != rfc3339_of_) {
        rfc3339_of_ = ms;
        write_rfc3339(wall_, rfc3339_);
    }
    return {rfc3339_.data(), rfc3339_.size()};
}

std::string_view TurnClock::http_date() {
    const std::int64_t second = std::chrono::floor<seconds>(wall_.time_since_epoch()).count();
    if (second != date_of_) {
        date_of_ = second;
        date_ = format_http_date(wall_);
    }
    return date_;
}

std::string format_http_date(WallTime time) {
    static constexpr std::string_view days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::string_view months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::string text = to_rfc3339(time);
    std::string out(days[std::chrono::weekday(day).c_encoding()]);
    out.append(", ").append(text, 8, 2).append(" ");
    out.append(months[static_cast<unsigned>(date.month()) - 1]).append(" ").append(text, 0, 4).append(" ");
    return out.append(text, 11, 8).append(" GMT");
}

}  // namespace havn::gateway
