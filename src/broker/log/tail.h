// The end of the log: the segment that is being filled, and the batch of records that goes to the disk next.
//
// Records are added in memory, in order; take() hands the batch over. Every segment begins with the whole
// topology, so that the ones before it can go, and takes at least one record whatever its size. Offsets
// within a segment have 32 bits.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "broker/core/message/journal.h"
#include "broker/log/record.h"
#include "broker/log/segment.h"
#include "broker/log/segment_files.h"
#include "broker/log/writer.h"

namespace havn::broker {

class LogTail {
  public:
    using Salt = std::function<std::uint32_t()>;

    // `segments` and `files` outlive this. The first segment gets `first_bytes`, the following ones four
    // times as much each, up to `segment_bytes`.
    LogTail(SegmentList& segments, SegmentFiles& files, std::uint64_t first_bytes,
            std::uint64_t segment_bytes, Salt salt);

    // Begins the first segment after those that recovery found. Once, before anything is added.
    void begin(std::uint32_t number, Topology topology);
    bool begun() const { return segment_ != nullptr; }

    // make_room() may begin the next segment; from then on segment() and offset() say where a record of that
    // size goes, and put_record() has `write(buffer, place)` write it there. add() does both.
    void make_room(std::uint64_t bytes);
    template <class Write>
    void put_record(std::uint64_t bytes, Write write) {
        write(batch_.bytes, here());
        advance(bytes);
    }
    template <class Write>
    void add(std::uint64_t bytes, Write write) {
        make_room(bytes);
        put_record(bytes, write);
    }
    void put(std::string_view key, std::string_view value);
    void erase(std::string_view key);

    Segment& segment() const { return *segment_; }
    std::uint32_t offset() const { return offset_; }  // where the next record goes, if it fits
    LogPosition position() const { return position_; }
    bool used() const { return offset_ > records_begin_; }  // it holds a record of its own
    std::uint64_t bytes_used() const { return offset_ - records_begin_; }
    std::uint64_t next_segment_bytes() const;

    // Beyond it the next segment is begun.
    std::uint64_t limit() const { return limit_; }
    // The file turned out to be shorter than was thought: the reserve, or a small spare. On a full disk it
    // cannot grow, and the next one may be there.
    void file_has(std::uint64_t bytes);
    void leave_segment() { make_room(limit_); }

    // What goes to the disk next. take() exchanges it for an empty batch.
    Batch& batch() { return batch_; }
    const Batch& batch() const { return batch_; }
    void take(Batch& into) { std::swap(batch_, into); }

  private:
    Place here() const { return {segment_->name.salt, offset_}; }
    void advance(std::uint64_t bytes) {
        HAVN_ASSERT(offset_ + bytes <= UINT32_MAX, "a segment's offsets have 32 bits");
        offset_ += static_cast<std::uint32_t>(bytes);
        position_ += bytes;
        batch_.chunks.back().size += bytes;
    }
    void begin_segment(std::uint32_t number);
    void roll();

    SegmentList& segments_;
    SegmentFiles& files_;
    const std::uint64_t segment_bytes_;
    const Salt salt_;
    Topology topology_;
    Segment* segment_ = nullptr;  // the current one of `segments_`
    std::uint32_t offset_ = 0;
    std::uint32_t records_begin_ = 0;  // behind the topology
    std::uint64_t limit_ = 0;
    std::uint64_t wanted_bytes_;  // of the next file
    LogPosition position_ = 0;    // bytes added since the start, over all segments
    Batch batch_;
};

}  // namespace havn::broker
