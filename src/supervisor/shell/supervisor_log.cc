#include "supervisor/shell/supervisor_log.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/wall_time.h"
#include "io/clock.h"

namespace havn::supervisor {

namespace {

constexpr std::string_view level_names[] = {"debug", "info", "warning", "error"};

std::string line_of(const Transition& change) {
    const std::string app = change.app.empty() ? "" : fmt::format(R"("app":{},)", Json(change.app).dump());
    return fmt::format(R"({{"time":"{}",{}"name":"{}","instance":{},"kind":"{}",)"
                       R"("from":"{}","state":"{}","pid":{},"cause":{}}})"
                       "\n",
                       to_rfc3339(change.at), app, change.name, change.number, name(change.role),
                       name(change.from), name(change.to),
                       change.pid == 0 ? "null" : std::to_string(change.pid),
                       Json(change.cause).dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

void SupervisorLog::say(log::Level level, std::string_view text) {
    if (!log::wanted(level)) return;
    writer_.append(LogWriter::Journal::supervisor,
                   fmt::format("{} supervisor {}: {}\n", to_rfc3339(io::wall_now()),
                               level_names[static_cast<int>(level)], text));
    if (shown_) writer_.show("supervisor", std::string(text));
}

void SupervisorLog::keep(const std::vector<Transition>& transitions) {
    std::string lines;
    for (const Transition& change : transitions) lines += line_of(change);
    if (!lines.empty()) writer_.append(LogWriter::Journal::events, std::move(lines));
}

}  // namespace havn::supervisor
