#include <fmt/format.h>

#include "base/text/percent.h"
#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"

namespace havn::cli {

namespace {

std::string count_of(const Json& row, const char* key) {
    return row.contains(key) && row[key].is_number() ? row[key].dump() : "-";
}

}  // namespace

int queue_list(const ShowOptions& options) {
    const Result<std::string> data = find_data(options.place);
    if (!data) return print_error(data.error());
    const Result<Json> answer = Platform(*data).get("/v1/queues");
    if (!answer) return print_error(answer.error());
    if (options.json) {
        print_json(*answer);
        return Exit::ok;
    }
    std::vector<std::vector<std::string>> cells{{"QUEUE", "READY", "UNACKED", "CONSUMERS", "BYTES"}};
    for (const Json& row : *answer) {
        cells.push_back({row.value("name", ""), count_of(row, "ready"), count_of(row, "unacked"),
                         count_of(row, "consumers"), count_of(row, "bytes")});
    }
    print(table(cells));
    return Exit::ok;
}

int queue_purge(const Place& place, const std::string& name) {
    const Result<std::string> data = find_data(place);
    if (!data) return print_error(data.error());
    const std::string target = "/v1/queues/" + percent_encode(name) + "/purge";
    const Result<Json> answer = Platform(*data).send("POST", target, nullptr);
    if (!answer) return print_error(answer.error());
    print(fmt::format("{} messages removed from {}\n", count_of(*answer, "purged"), name));
    return Exit::ok;
}

}  // namespace havn::cli
