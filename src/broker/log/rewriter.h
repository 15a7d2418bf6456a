// Rewriting: a segment of which little is still needed gives its live messages to the segment being filled,
// and goes. docs/formats/log.md, "Rewriting".
//
// Nothing is special about the order of writing: a moved record stands where any other would, and settles
// what it replaces by being there. When the last delivery of a segment has been moved the segment is removed
// as one whose deliveries were all acknowledged: after the batch that holds the copies has been synced.
//
// One segment at a time, a bounded piece of it with each batch, so that publishers wait for little.
#pragma once

#include <cstdint>
#include <vector>

#include "broker/log/forwarding.h"
#include "broker/log/record.h"
#include "broker/log/removals.h"
#include "broker/log/segment.h"
#include "broker/log/segment_reader.h"
#include "broker/log/settlements.h"
#include "broker/log/storage.h"
#include "broker/log/sync_progress.h"
#include "broker/log/tail.h"

namespace havn::broker {

class Rewriter {
  public:
    // The log's parts that it works on; all of them outlive it.
    struct Parts {
        SegmentList& segments;
        LogTail& tail;
        const Settlements& settlements;
        const Removals& removals;
        const SyncProgress& progress;
        SegmentReader& reader;
        Forwarding& forwarding;
        const Storage& storage;
    };
    // `after_ticks`: how old a sealed segment is at least, in ticks of the segment list.
    Rewriter(const Parts& parts, std::uint32_t after_ticks) : parts_(parts), after_ticks_(after_ticks) {}

    // Looks for a segment that is worth it, unless one is being rewritten. `disk_full`: there is no space for
    // a new segment; every quarter of one that comes free counts then, but what is copied leaves room for
    // acknowledgements in the segment being filled, whose file has `file_bytes`.
    void choose(bool disk_full, std::uint64_t file_bytes);
    bool active() const { return from_ != nullptr; }

    // The next piece, added to the tail.
    void step();

    void stop() { from_ = nullptr; }

    std::uint64_t moved() const { return moved_; }              // messages
    std::uint64_t moved_bytes() const { return moved_bytes_; }  // of their records

  private:
    bool is_worth_it(const Segment& segment, bool disk_full, std::uint64_t file_bytes) const;
    std::uint32_t rewrite_record();
    void move(const MessageRecord& message);
    void end();

    Parts parts_;
    const std::uint32_t after_ticks_;
    Segment* from_ = nullptr;     // being rewritten; owned by the segment list, which keeps it meanwhile
    std::uint32_t offset_ = 0;    // of its next record
    std::uint32_t ordinals_ = 0;  // of the deliveries before that record
    std::vector<MovedDelivery> moving_;
    std::uint64_t moved_ = 0, moved_bytes_ = 0;
};

}  // namespace havn::broker
