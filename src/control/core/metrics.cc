#include "control/core/metrics.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "base/text/prometheus.h"
#include "contract/supervisor.h"

namespace havn::control {

std::string process_metrics(const Json& processes) {
    struct Row {
        std::string name, instance, kind, state;
        std::uint64_t restarts = 0;
        bool refuses = false;
    };
    std::vector<Row> rows;
    std::set<std::tuple<std::string, std::string>> written;  // while an instance is replaced there are two
    for (const Json& process : processes) {
        Row row{.name = supervisor::shown_name(text_of(process, "app"), text_of(process, "name")),
                .instance = std::to_string(process.value("instance", 1)),
                .kind = process.value("kind", ""),
                .state = process.value("state", ""),
                .restarts = process.value("restarts", 0u),
                .refuses = process.contains("refuses")};
        if (written.emplace(row.name, row.instance).second) rows.push_back(std::move(row));
    }
    prometheus::Writer out;
    out.family("havn_process_up", "gauge", "Whether the instance is ready.");
    for (const Row& row : rows) {
        out.sample({{"name", row.name}, {"instance", row.instance}, {"kind", row.kind}},
                   std::uint64_t{row.state == "ready"});
    }
    out.family("havn_process_restarts_total", "counter", "Starts of the instance after its first one.");
    for (const Row& row : rows) {
        out.sample({{"name", row.name}, {"instance", row.instance}, {"kind", row.kind}}, row.restarts);
    }
    out.family("havn_process_state", "gauge", "The state the instance is in, as a label.");
    for (const Row& row : rows) {
        out.sample({{"name", row.name}, {"instance", row.instance}, {"kind", row.kind}, {"state", row.state}},
                   std::uint64_t{1});
    }
    out.family("havn_configuration_refused", "gauge",
               "Whether the part does not take the configuration in force.");
    for (const Row& row : rows) {
        if (row.kind == "platform") out.sample({{"name", row.name}}, std::uint64_t{row.refuses});
    }
    return out.take();
}

namespace {

// The family a comment line such as "# TYPE name gauge" is about; empty for other lines.
std::string_view declared(std::string_view line) {
    for (const std::string_view start : {"# HELP ", "# TYPE "}) {
        if (!line.starts_with(start)) continue;
        line.remove_prefix(start.size());
        return line.substr(0, line.find(' '));
    }
    return {};
}

}  // namespace

std::string merge_metrics(const std::vector<std::string>& texts) {
    struct Family {
        std::string head, samples;
    };
    std::vector<std::string> order;
    std::map<std::string, Family, std::less<>> families;
    for (const std::string& text : texts) {
        std::string current;
        std::set<std::string> opened;  // families whose head stood elsewhere already
        for (std::string_view rest = text; !rest.empty();) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            const std::string_view line = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            if (line.empty()) continue;
            if (const std::string_view name = declared(line); !name.empty()) current = name;
            const auto [family, is_new] = families.try_emplace(current);
            if (is_new) {
                order.push_back(current);
                opened.insert(current);
            }
            if (!line.starts_with('#')) {
                family->second.samples += std::string(line) + "\n";
            } else if (opened.contains(current)) {
                family->second.head += std::string(line) + "\n";
            }
        }
    }
    std::string merged;
    for (const std::string& name : order) merged += families[name].head + families[name].samples;
    return merged;
}

}  // namespace havn::control
