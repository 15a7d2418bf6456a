#include "cli/common/log_query.h"

#include <fmt/format.h>
#include <regex.h>

#include <memory>

#include "base/text/units.h"
#include "base/wall_time.h"
#include "io/clock.h"

namespace havn::cli {

namespace {

// A moment, or how long ago it was.
Result<std::optional<WallTime>> parse_moment(const char* option, const std::string& text) {
    if (text.empty()) return std::nullopt;
    if (const std::optional<WallTime> time = parse_rfc3339(text)) return time;
    if (const Result<milliseconds> ago = parse_duration(text)) return io::wall_now() - *ago;
    return fail(Error::Kind::invalid, fmt::format("{} '{}' is neither a time nor a duration", option, text),
                "write how long ago (90s, 10m, 1d) or a time in UTC (2026-11-21T14:00:00Z)");
}

void free_expression(regex_t* expression) {
    ::regfree(expression);
    delete expression;
}

Result<std::shared_ptr<regex_t>> compile_expression(const std::string& text) {
    auto expression = std::make_unique<regex_t>();
    const int error = ::regcomp(expression.get(), text.c_str(), REG_EXTENDED | REG_NOSUB);
    if (error == 0) return std::shared_ptr<regex_t>(expression.release(), free_expression);
    char why[128];
    ::regerror(error, expression.get(), why, sizeof why);
    return fail(Error::Kind::invalid, fmt::format("--grep '{}': {}", text, why),
                "it is an extended regular expression, as grep -E takes it");
}

}  // namespace

Result<logs::LogQuery> query_of(const LogSpan& span) {
    const Result<std::optional<WallTime>> since = parse_moment("--since", span.since);
    if (!since) return std::unexpected(since.error());
    const Result<std::optional<WallTime>> until = parse_moment("--until", span.until);
    if (!until) return std::unexpected(until.error());
    logs::LogQuery query{.lines = span.lines, .since = *since, .until = *until, .matches = {}};
    if (query.lines == 0) query.lines = *since ? logs::LogQuery::lines_max : 100;
    if (span.grep.empty()) return query;
    Result<std::shared_ptr<regex_t>> expression = compile_expression(span.grep);
    if (!expression) return std::unexpected(expression.error());
    query.matches = [expression = std::move(*expression)](std::string_view text) {
        regmatch_t whole{0, static_cast<regoff_t>(text.size())};
        return ::regexec(expression.get(), text.data(), 1, &whole, REG_STARTEND) == 0;
    };
    return query;
}

}  // namespace havn::cli
