// How far the log is written and synced, who waits for that, and the marks that prove it to recovery: with a
// mark, a record that does not check out is known to be spoilt; without, it may be the torn end of a write.
#pragma once

#include <cstdint>

#include "broker/core/message/journal.h"
#include "broker/log/segment.h"
#include "broker/log/tail.h"
#include "broker/log/writer.h"

namespace havn::broker {

class SyncProgress {
  public:
    LogPosition durable() const { return durable_; }
    std::uint64_t syncs() const { return syncs_; }

    // Somebody waits until everything before `position` is durable.
    void wait_for(LogPosition position) { waited_for_ = std::max(waited_for_, position); }
    bool is_waited_for() const { return waited_for_ > durable_; }

    // That batch is written, and synced if it says so.
    void note_written(const Batch& batch);

    // The segment whose file was written to last, and how far. What is behind that is still in memory.
    const SegmentName& written_segment() const { return written_segment_; }
    std::uint32_t written_offset(std::uint32_t segment) const {
        return segment == written_segment_.number ? written_offset_ : UINT32_MAX;
    }

    // Adds a mark of what is synced of the tail's segment, if the last one proves less.
    void emit_mark(LogTail& tail);

  private:
    LogPosition durable_ = 0, waited_for_ = 0;
    SegmentName written_segment_, synced_segment_;
    std::uint32_t written_offset_ = 0, synced_offset_ = 0;
    std::uint32_t marked_segment_ = 0, marked_offset_ = 0;  // what the last mark proves
    std::uint64_t syncs_ = 0;
};

}  // namespace havn::broker
