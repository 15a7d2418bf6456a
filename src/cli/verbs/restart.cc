#include <fmt/format.h>

#include "cli/common/events.h"
#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/clock.h"

namespace havn::cli {

namespace {

std::string took(Time began) {
    return elapsed(std::chrono::duration<double>(io::now() - began).count());
}

}  // namespace

int restart(const Place& place, const std::string& name) {
    const Result<std::string> data = find_data(place);
    if (!data) return print_error(data.error());
    const Platform platform(*data);
    const InstanceName target = parse_instance(name);
    Json body{{"name", target.name}, {"instance", nullptr}};
    if (target.instance > 0) body["instance"] = target.instance;
    const Time began = io::now();
    EventPrinter printer(platform.log_folder(), {.plan = false});
    const Result<> ended = follow_change(platform, "/v1/restart", body, printer);
    if (target.name == "control" && (!ended || !printer.finished())) {  // it cannot tell of its own restart
        const Result<Json> back = platform.get("/v1/status");
        if (!back) return print_error(back.error());
        print(fmt::format("restarted in {}\n", took(began)));
        note_replaced_binary(platform);
        return Exit::ok;
    }
    if (!ended) return print_error(ended.error());
    if (!printer.finished()) return print_error(Platform::went_away());
    if (!printer.ok()) {
        return print_error({Error::Kind::unavailable, "not restarted as asked: " + printer.cause(),
                            "see `havn ps` and `havn logs " + name + "`"});
    }
    print(fmt::format("restarted in {}\n", took(began)));
    note_replaced_binary(platform);
    return Exit::ok;
}

}  // namespace havn::cli
