#include <fmt/format.h>

#include <charconv>

#include "cli/common/events.h"
#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/clock.h"

namespace havn::cli {

int scale(const Place& place, const std::vector<std::string>& assignments) {
    Json counts = Json::object();
    for (const std::string& assignment : assignments) {
        const std::size_t equals = assignment.find('=');
        std::uint32_t count = 0;
        const char* end = assignment.data() + assignment.size();
        const bool valid = equals != std::string::npos && equals > 0 && equals + 1 < assignment.size() &&
                           std::from_chars(assignment.data() + equals + 1, end, count).ptr == end;
        if (!valid) {
            print_error(
                {Error::Kind::invalid, "'" + assignment + "' is no NAME=COUNT", "type `havn scale web=3`"});
            return Exit::usage;
        }
        counts[assignment.substr(0, equals)] = count;
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
                            "see `havn ps`; the new number holds, `havn up` goes back to the manifest's"});
    }
    if (printer.changed()) {
        print(fmt::format("scaled in {}; `havn up` goes back to what the manifest says\n",
                          elapsed(std::chrono::duration<double>(io::now() - began).count())));
    }
    return Exit::ok;
}

}  // namespace havn::cli
