#include "base/log_line.h"

#include <algorithm>

#include "base/wall_time.h"

namespace havn {

void append_log_lines(std::string& out, std::string_view time, std::string_view stream,
                      std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const bool whole = end != std::string_view::npos;
        out.append(time).append(1, ' ').append(stream).append(whole ? " F " : " P ");
        out.append(bytes.substr(0, end)).append(1, '\n');
        bytes.remove_prefix(whole ? end + 1 : bytes.size());
    }
}

struct Fields {
    WallTime time{};
    std::string_view stream, text;
    bool partial = false;
};

namespace {

Fields fields_of(std::string_view line) {
    Fields fields;
    fields.text = line;
    std::string_view time = line.substr(0, line.find(' '));
    constexpr std::string_view access_log = "{\"time\":\"";
    if (line.starts_with(access_log)) {
        time = line.substr(access_log.size());
        time = time.substr(0, time.find('"'));
    }
    const std::optional<WallTime> at = parse_rfc3339(time);
    if (!at) return fields;
    fields.time = *at;
    std::string_view rest = line.substr(std::min(line.size(), time.size() + 1));
    const std::size_t stream_end = rest.find(' ');
    const std::string_view stream = rest.substr(0, stream_end);
    if (stream != "stdout" && stream != "stderr" && stream != supervisor_stream) return fields;
    rest.remove_prefix(std::min(rest.size(), stream.size() + 1));
    if (rest.size() < 1 || (rest[0] != 'F' && rest[0] != 'P') || (rest.size() > 1 && rest[1] != ' ')) {
        return fields;
    }
    fields.stream = stream;
    fields.partial = rest[0] == 'P';
    fields.text = rest.substr(std::min<std::size_t>(rest.size(), 2));
    return fields;
}

}  // namespace

void LogAssembler::add(std::string_view line, std::vector<LogEntry>& entries) {
    const Fields fields = fields_of(line);
    LogEntry entry{fields.time, std::string(fields.stream), std::string(fields.text)};
    if (fields.stream == supervisor_stream) finish(entries);
    if (const auto begun = begun_.find(fields.stream); begun != begun_.end()) {
        entry.time = begun->second.time;
        entry.text.insert(0, begun->second.text);
        begun_.erase(begun);
    }
    if (fields.partial && entry.text.size() < text_max) {
        begun_.insert_or_assign(std::string(fields.stream), std::move(entry));
    } else {
        entries.push_back(std::move(entry));
    }
}

void LogAssembler::finish(std::vector<LogEntry>& entries) {
    for (auto& [stream, begun] : begun_) entries.push_back(std::move(begun));
    begun_.clear();
}

}  // namespace havn
