// What `promtool check metrics` would say of a text, for tests: HELP and TYPE once per family and before its
// samples, names and labels well-formed, values numbers, no sample twice, UTF-8 throughout.
#pragma once

#include <charconv>
#include <regex>
#include <set>
#include <string>
#include <string_view>

#include "base/text/utf8.h"

namespace havn::prometheus {

// The first mistake with its line; empty when there is none.
inline std::string mistake_in(std::string_view text) {
    static const std::regex help("# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) \\S.*");
    static const std::regex type("# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)");
    static const std::string label = R"re([a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\"n])*")re";
    static const std::regex sample("([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{" + label + "(?:," + label +
                                   ")*\\})? (\\S+)");
    std::set<std::string> helped, typed, samples;
    std::string family, kind;
    if (!text.empty() && !text.ends_with('\n')) return "the last line has no end";
    while (!text.empty()) {
        const std::string line(text.substr(0, text.find('\n')));
        text.remove_prefix(line.size() + 1);
        std::smatch parts;
        if (!is_utf8(line)) return "no UTF-8: " + line;
        if (std::regex_match(line, parts, help)) {
            family = parts[1];
            if (!helped.insert(family).second) return "a second HELP: " + line;
        } else if (std::regex_match(line, parts, type)) {
            if (parts[1] != family) return "TYPE of another family than HELP: " + line;
            if (!typed.insert(family).second) return "a second TYPE: " + line;
            kind = parts[2];
            if (kind == "counter" && !family.ends_with("_total")) return "a counter without _total: " + line;
        } else if (std::regex_match(line, parts, sample)) {
            std::string name = parts[1];
            for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
                if (kind == "histogram" && name == family + std::string(suffix)) name = family;
            }
            if (name != family || !typed.contains(family)) return "a sample outside its family: " + line;
            const std::string value = parts[3];
            double number = 0;
            const auto end = std::from_chars(value.data(), value.data() + value.size(), number);
            if (end.ec != std::errc() || *end.ptr != '\0') return "no number: " + line;
            if (!samples.insert(parts[1].str() + parts[2].str()).second) return "a sample twice: " + line;
        } else {
            return "neither HELP, TYPE nor sample: " + line;
        }
    }
    return {};
}

}  // namespace havn::prometheus
