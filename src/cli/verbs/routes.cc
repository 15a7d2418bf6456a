#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"

namespace havn::cli {

int routes(const ShowOptions& options) {
    const Result<std::string> data = find_data(options.place);
    if (!data) return print_error(data.error());
    const Result<Json> rows = Platform(*data).get("/v1/routes");
    if (!rows) return print_error(rows.error());
    if (options.json) {
        print_json(*rows);
        return Exit::ok;
    }
    std::vector<std::vector<std::string>> cells{{"ROUTE", "METHODS", "TO", "READY", "TIMEOUT", "FALLBACK"}};
    for (const Json& row : *rows) {
        const std::vector<std::string> methods = row.value("methods", std::vector<std::string>{});
        const bool queued = row.contains("queue");
        const std::string unnamed = queued ? "POST" : "all";
        const Json& timeout = row.at("timeout_ms");
        cells.push_back({row.value("route", ""),
                         methods.empty() ? unnamed : fmt::format("{}", fmt::join(methods, " ")),
                         queued ? "queue " + row.value("queue", "") : row.value("service", ""),
                         queued ? "-" : std::to_string(row.value("ready", 0)),
                         timeout.is_number() ? elapsed(timeout.get<double>() / 1000.0) : "-",
                         row.value("fallback", false) ? "yes" : "-"});
    }
    print(table(cells));
    return Exit::ok;
}

}  // namespace havn::cli
