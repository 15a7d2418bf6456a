#include "control/metrics.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <vector>

namespace havn::control {

// Backslash, quote and line feed are escaped in a label's value.
static std::string escaped(std::string_view value) {
    std::string text;
    for (const char c : value) {
        if (c == '\\' || c == '"') text += '\\';
        text += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return text;
}

std::string process_metrics(const Json& processes) {
    std::string up = "# HELP havn_process_up Whether the instance is ready.\n# TYPE havn_process_up gauge\n";
    std::string restarts =
        "# HELP havn_process_restarts_total Starts of the instance after its first one.\n"
        "# TYPE havn_process_restarts_total counter\n";
    std::string states =
        "# HELP havn_process_state The state the instance is in, as a label.\n# TYPE havn_process_state "
        "gauge\n";
    std::set<std::string> written;  // while an instance is replaced there are two of its name
    for (const Json& row : processes) {
        const std::string state = row.value("state", "");
        const std::string labels =
            fmt::format(R"(name="{}",instance="{}",kind="{}")", escaped(row.value("name", "")),
                        row.value("instance", 1), escaped(row.value("kind", "")));
        if (!written.insert(labels).second) continue;
        up += fmt::format("havn_process_up{{{}}} {}\n", labels, state == "ready" ? 1 : 0);
        restarts += fmt::format("havn_process_restarts_total{{{}}} {}\n", labels, row.value("restarts", 0));
        states += fmt::format("havn_process_state{{{},state=\"{}\"}} 1\n", labels, escaped(state));
    }
    return up + restarts + states;
}

// The family a comment line such as "# TYPE name gauge" is about; empty for other lines.
static std::string_view declared(std::string_view line) {
    for (const std::string_view start : {"# HELP ", "# TYPE "}) {
        if (!line.starts_with(start)) continue;
        line.remove_prefix(start.size());
        return line.substr(0, line.find(' '));
    }
    return {};
}

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
