#include <fmt/format.h>

#include <charconv>

#include "cli/common/events.h"
#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/clock.h"

namespace havn::cli {

namespace {

// "NAME=COUNT" or "NAME=default" put into the body of the request; false when it is neither.
bool add_count(const std::string& assignment, Json& counts) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0) return false;
    const std::string name = assignment.substr(0, equals), value = assignment.substr(equals + 1);
    if (value == "default") {
        counts[name] = nullptr;
        return true;
    }
    std::uint32_t count = 0;
    const char* const end = value.data() + value.size();
    const auto [read_to, error] = std::from_chars(value.data(), end, count);
    if (value.empty() || error != std::errc{} || read_to != end) return false;
    counts[name] = count;
    return true;
}

}  // namespace

int scale(const Place& place, const std::vector<std::string>& assignments) {
    Json counts = Json::object();
    for (const std::string& assignment : assignments) {
        if (add_count(assignment, counts)) continue;
        print_error({Error::Kind::invalid, "'" + assignment + "' is no NAME=COUNT",
                     "type `havn scale web=3`, or `havn scale web=default` for the manifest's number"});
        return Exit::usage;
    }
    const Result<std::string> data = find_data(place);
    if (!data) return print_error(data.error());
    const Platform platform(*data);
    const Time began = io::now();
    EventPrinter printer(platform.log_folder(), {.plan = true});
    const Result<> ended = follow_change(platform, "/v1/scale", counts, printer);
    if (!ended) return print_error(ended.error());
    if (!printer.finished()) return print_error(Platform::went_away());
    if (!printer.ok()) {
        return print_error({Error::Kind::unavailable, "not scaled as asked: " + printer.cause(),
                            "see `havn ps`; the new number holds, `havn scale NAME=default` takes it back"});
    }
    if (printer.changed()) {
        print(fmt::format("scaled in {}; `havn scale NAME=default` goes back to what the manifest says\n",
                          elapsed(std::chrono::duration<double>(io::now() - began).count())));
    }
    return Exit::ok;
}

}  // namespace havn::cli
