#include "gateway/core/turn/log_buffer.h"

#include <algorithm>
#include <utility>

namespace havn::gateway {

void LogBuffer::add(const AccessRecord& record) {
    if (lines_.empty()) {
        lines_.reserve(flush_bytes + 4096);
        deadlines_.set(*this, clock_.now() + flush_after);
    }
    append_line(lines_, record);
    if (lines_.size() >= flush_bytes) flush();
}

void LogBuffer::flush() {
    deadlines_.clear(*this);
    if (lines_.empty()) return;
    const auto lines = static_cast<std::uint64_t>(std::ranges::count(lines_, '\n'));
    if (!sink_.submit(std::exchange(lines_, {}))) metrics_.log_lines_dropped.add(lines);
}

}  // namespace havn::gateway
