// Reads a log back: what is provably as written, and nothing else. docs/formats/log.md, "Reading it back".
//
// Two passes over the segments, in order: one to learn the topology and everything that is settled, one to
// hand out what is not, moved messages in the place of those they came from. A spoilt stretch is reported
// with its file and offset and stepped over; the unsynced tail of the last segment is cut.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/core/message/journal.h"
#include "broker/log/record.h"
#include "broker/log/segment.h"
#include "broker/log/segment_reader.h"
#include "broker/log/storage.h"

namespace havn::broker {

class Recovery {
  public:
    explicit Recovery(Storage& storage) : storage_(storage), reader_(storage) {}

    // First pass. Fails if a file cannot be opened or read, which says nothing about what stands in it, and
    // on a log of a later version.
    Result<> scan();

    // Second pass: every unsettled delivery, in the order of publishing. What the sink does not know goes
    // into `orphans`.
    struct Orphan {
        DeliveryId delivery;
        std::uint32_t body_bytes = 0;
    };
    Result<> deliver(RecoverySink& sink, std::vector<Orphan>& orphans);

    // Makes the last segment end where its proven part ends, and all of it durable. Nothing may be written
    // before.
    Result<> cut_tail();

    Topology& topology() { return topology_; }
    std::vector<std::unique_ptr<Segment>>& segments() { return segments_; }  // by number; all sealed
    std::uint32_t last_number() const { return last_number_; }               // of any file seen; 0 = none
    std::uint64_t spoilt_bytes() const { return spoilt_bytes_; }

  private:
    Result<> find_segments();
    Result<std::string_view> load(const Segment& segment);  // the whole file; valid until the next call
    Result<std::string_view> load_blocks(const File& file, std::size_t size, const std::string& name);
    Result<> scan_segment(Segment& segment, bool last);
    Result<> check_version(const Segment& segment, std::string_view file, bool last);
    bool apply(Segment& segment, const Record& record);
    bool apply_message(Segment& segment, const Record& record);
    void note_moved(Segment& segment, const MessageRecord& message, std::uint32_t offset);
    bool apply_settle(Segment& segment, std::string_view payload);
    bool apply_attempts(Segment& segment, std::string_view payload);
    bool apply_settled_set(Segment& segment, std::string_view payload);
    bool apply_topology(const Record& record);
    void end_snapshot();
    void settle_run_of(Segment& holder, const Run& run);
    Segment* find(std::uint32_t number);
    void report(const Segment& segment, std::uint32_t from, std::uint32_t to, std::string_view why);

    // A message that stands later in the log than it was published.
    struct Moved {
        DeliveryId order, at;  // its first delivery, as published and now
        std::uint32_t deliveries = 0, offset = 0;
    };
    struct Delivering;
    void forget_settled_moves();
    void hand_out(Delivering& to, Segment& segment, const MessageRecord& message, std::uint32_t offset);
    Result<> hand_out_moved(Delivering& to, DeliveryId before);
    Result<> hand_out_segment(Delivering& to, Segment& segment);

    Storage& storage_;
    SegmentReader reader_;
    std::vector<Moved> moved_;
    std::vector<std::unique_ptr<Segment>> segments_;
    Topology topology_;
    Topology snapshot_;  // collected between snapshot_begin and snapshot_end
    bool in_snapshot_ = false;
    bool snapshot_holed_ = false;
    std::uint32_t last_number_ = 0;
    bool last_header_spoilt_ = false;
    bool last_sealed_ = false;
    std::uint64_t spoilt_bytes_ = 0;
    std::unique_ptr<char[]> buffer_;
    std::size_t buffer_size_ = 0;
};

}  // namespace havn::broker
