#include <fmt/format.h>

#include <chrono>
#include <ctime>

#include "cli/platform.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "io/clock.h"

namespace havn::cli {

// `since` is RFC 3339 in UTC, with or without fractions of a second.
static std::string age_of(const Json& row) {
    if (!row.contains("since") || !row["since"].is_string()) return "-";
    std::tm parts{};
    if (!::strptime(row["since"].get<std::string>().c_str(), "%Y-%m-%dT%H:%M:%S", &parts)) return "-";
    const auto since = std::chrono::system_clock::from_time_t(::timegm(&parts));
    return age(std::chrono::duration<double>(io::wall_now() - since).count());
}

static std::string coloured_state(const std::string& state) {
    if (state == "ready") return paint(Colour::green, state);
    if (state == "backoff" || state == "unready" || state == "killing") return paint(Colour::red, state);
    return paint(Colour::yellow, state);
}

static std::string note_of(const Json& row) {
    const std::string error = row.value("error", "");
    const std::string exit = row.value("exit", "");
    if (!error.empty()) return error;
    return exit.empty() || row.value("restarts", 0) == 0 ? "" : "last: " + exit;
}

int ps(const ShowOptions& options) {
    const Result<std::string> data = find_data(options.place);
    if (!data) return print_error(data.error());
    const Result<Json> rows = Platform(*data).get("/v1/processes");
    if (!rows) return print_error(rows.error());
    if (options.json) {
        print_json(*rows);
        return Exit::ok;
    }
    std::vector<std::vector<std::string>> cells{{"NAME", "KIND", "STATE", "PID", "RESTARTS", "SINCE", ""}};
    for (const Json& row : *rows) {
        const bool alive = row.contains("pid") && row["pid"].is_number_integer() && row["pid"] != 0;
        cells.push_back({fmt::format("{}.{}", row.value("name", ""), row.value("instance", 1)),
                         row.value("kind", ""), coloured_state(row.value("state", "")),
                         alive ? row["pid"].dump() : "-", std::to_string(row.value("restarts", 0)),
                         age_of(row), note_of(row)});
    }
    print(table(cells));
    return Exit::ok;
}

}  // namespace havn::cli
