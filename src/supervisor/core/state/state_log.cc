#include "supervisor/core/state/state_log.h"

#include <algorithm>

namespace havn::supervisor {

namespace {

constexpr std::size_t journal_bytes_min = 256u << 10;

}  // namespace

Result<> StateLog::write_base(const ProcessTable& table, const PlatformRows& platform) {
    const std::string text = writer_.base(table, platform);
    base_due_ = true;
    if (Result<> written = disk_.replace_base(text); !written) return written;
    writer_.base_is_written();
    base_bytes_ = text.size();
    journal_bytes_ = 0;
    tail_unknown_ = true;
    // What the journal still holds is older than the base; the base that it names says so.
    if (Result<> emptied = disk_.empty_journal(); !emptied) return emptied;
    base_due_ = false;
    return append("");
}

Result<> StateLog::started(const Instance& instance) {
    return append(writer_.started(instance));
}

Result<> StateLog::write(const ProcessTable& table, const Touched& touched, const PlatformRows& platform) {
    if (base_due_) return write_base(table, platform);
    const std::string lines = writer_.changes(table, touched);
    return lines.empty() ? Result<>() : append(lines);
}

Result<> StateLog::append(const std::string& lines) {
    const std::string text = tail_unknown_ ? "\n" + writer_.journal_head() + lines : lines;
    const Result<> written = disk_.append_to_journal(text);
    journal_bytes_ += text.size();
    tail_unknown_ = !written;
    if (!written) writer_.lines_are_lost();
    base_due_ |= !written || journal_bytes_ > std::max(base_bytes_, journal_bytes_min);
    return written;
}

}  // namespace havn::supervisor
