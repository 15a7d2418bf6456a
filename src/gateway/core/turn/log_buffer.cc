#include "gateway/core/turn/log_buffer.h"

#include <utility>

namespace havn::gateway {

void LogBuffer::add(const AccessRecord& record) {
    if (lines_.empty()) {
        lines_.reserve(flush_bytes + 4096);
        deadlines_.set(*this, clock_.now() + flush_after);
    }
    append_line(lines_, record);
    ++count_;
    if (lines_.size() >= flush_bytes) flush();
}

void LogBuffer::flush() {
    deadlines_.clear(*this);
    if (lines_.empty()) return;
    const std::uint64_t count = std::exchange(count_, 0);
    if (!sink_.submit(std::exchange(lines_, {}))) metrics_.log_lines_dropped.add(count);
}

}  // namespace havn::gateway
