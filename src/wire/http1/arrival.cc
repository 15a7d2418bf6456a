#include "wire/http1/arrival.h"

namespace havn::http1 {

bool HeadArrival::ends_head(std::string_view input, std::size_t line_feed) const {
    const auto before = [&](std::size_t n) { return line_feed >= n ? input[line_feed - n] : '\n'; };
    const bool bare = before(1) != '\r';
    if (bare) return of_ == Of::request || before(1) == '\n';
    return begun_ && before(2) == '\n';
}

bool HeadArrival::worth_parsing(std::string_view input) {
    bool worth = input.size() >= due_at_;
    for (; seen_ < input.size(); ++seen_) {
        const char c = input[seen_];
        if (c == '\n') {
            worth |= ends_head(input, seen_);
        } else if (c != '\r') {
            begun_ = true;
            const std::size_t line_feed = input.find('\n', seen_);
            if (line_feed == std::string_view::npos) {
                seen_ = input.size();
                break;
            }
            seen_ = line_feed - 1;
        }
    }
    if (worth) due_at_ = 2 * input.size();
    return worth;
}

}  // namespace havn::http1
