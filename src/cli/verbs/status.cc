#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/common/health.h"
#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/binary.h"
#include "io/clock.h"

namespace havn::cli {

std::string replaced_binary(const Json& status) {
    const Result<std::string> ours = io::binary_id();
    const std::string theirs = status.value("binary", "");
    if (!ours || theirs.empty() || theirs == *ours) return {};
    const std::string version = status.value("version", "");
    return fmt::format("the platform still runs {} binary{}; `havn down && havn up -d` takes this one",
                       version == HAVN_VERSION ? "another" : "the",
                       version == HAVN_VERSION ? "" : " of havn " + version);
}

namespace {

std::string joined(const Json& status, const char* key) {
    const std::vector<std::string> texts = status.value(key, std::vector<std::string>{});
    return texts.empty() ? "-" : fmt::format("{}", fmt::join(texts, " "));
}

}  // namespace

int status(const ShowOptions& options) {
    const Result<std::string> data = find_data(options.place);
    if (!data) return print_error(data.error());
    const Platform platform(*data);
    Result<Json> status = platform.get("/v1/status");
    if (!status) return print_error(status.error());
    const std::string replaced = replaced_binary(*status);
    if (options.json) {
        (*status)["cli_version"] = HAVN_VERSION;
        (*status)["binary_replaced"] = !replaced.empty();
        print_json(*status);
        return Exit::ok;
    }
    const bool applied = status->value("revision", 0) > 0;
    const Result<Json> rows = platform.processes();
    const std::size_t unwell = rows ? complaints_about(*rows, io::wall_now()).size() : 0;
    std::string text =
        fmt::format("app        {}\n", applied ? status->value("app", "") : "(nothing applied yet)");
    if (applied) {
        text += fmt::format("manifest   {} in {}, revision {}, applied {}\n", status->value("file", ""),
                            status->value("directory", ""), status->value("revision", 0),
                            status->value("applied_at", ""));
        text += fmt::format("gateway    {}\namqp       {}\n", joined(*status, "gateway"),
                            joined(*status, "amqp"));
        if (const std::string metrics = joined(*status, "metrics"); metrics != "-") {
            text += fmt::format("metrics    {}\n", metrics);
        }
    }
    text += fmt::format("processes  {}{}\n", status->value("processes", 0),
                        unwell == 0 ? ", all well" : fmt::format(", {} not well: see `havn ps`", unwell));
    text +=
        fmt::format("platform   havn {}\ncommand    havn " HAVN_VERSION "\n", status->value("version", ""));
    for (const std::string& line : rows ? refusal_lines(*rows) : std::vector<std::string>{}) {
        text += paint(Colour::red, line) + "\n";
    }
    if (!replaced.empty()) text += paint(Colour::yellow, replaced) + "\n";
    print(text);
    return Exit::ok;
}

void note_replaced_binary(const Platform& platform) {
    const Result<Json> status = platform.get("/v1/status", seconds(3));
    if (!status) return;
    if (const std::string replaced = replaced_binary(*status); !replaced.empty()) {
        print("note: " + replaced + "\n");
    }
}

}  // namespace havn::cli
