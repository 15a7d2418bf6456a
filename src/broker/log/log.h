// The broker's log: the Journal on disk, one for all queues. docs/formats/log.md says what stands in the
// files.
//
// One thread (the loop's) calls everything here; a second one writes. Calls only fill the batch in memory;
// flush() hands it over. While the disk works on one batch the next one grows, so a sync is shared by all
// that wait.
//
//   open → recover(sink) → { append, settle, put, erase, read → flush(position someone waits for) }… →
//   close()
//
// When options.written was called, completed() says how far the log is durable. A failed write or sync is
// final (see failure()): nothing is confirmed after it, and the process has to stop. A full disk is not: see
// held_back().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "broker/core/message/journal.h"
#include "broker/log/forwarding.h"
#include "broker/log/recovery.h"
#include "broker/log/segment.h"
#include "broker/log/segment_files.h"
#include "broker/log/segment_reader.h"
#include "broker/log/storage.h"
#include "broker/log/writer.h"

namespace havn::broker {

inline constexpr std::size_t buffer_kept_bytes = 4u << 20;  // of a batch, between batches

class Log final : public Journal {
  public:
    struct Options {
        std::uint64_t segment_bytes = 64u << 20;  // a larger record gets a larger segment
        std::uint64_t first_segment_bytes = 4u
                                            << 20;  // the next ones are four times as large, up to the above
        std::uint64_t reserve_bytes = 1u << 20;     // kept for a full disk
        bool prepare_spares = true;
        std::uint32_t rewrite_after_ticks = 2;  // of flush_all(), after a segment was sealed
        bool threaded = true;                   // false: write_submitted() does the writer's work
        std::function<void()> written;          // from the writer's thread: call completed() on the loop's
        std::function<std::uint32_t()> salt;    // a fresh random number each time; empty: the system's
    };
    Log(std::unique_ptr<Storage> storage, Options options);
    ~Log() override;

    // Hands out what the log holds, then begins a new segment. Once, before anything else.
    Result<> recover(RecoverySink& sink);

    Placement append(const Message& message, std::span<const QueueId> queues,
                     WallMilliseconds published) override;
    void settle(DeliveryId delivery, std::uint32_t body_bytes) override;
    void note_attempts(DeliveryId delivery, std::uint32_t attempts) override;
    void put(std::string_view key, std::string_view value) override;
    void erase(std::string_view key) override;
    LogPosition position() const override { return position_; }
    Result<MessagePtr> read(DeliveryId delivery, std::uint32_t offset) override;

    // Everything so far goes to the writer, now or as soon as it is free. It is synced if `waited_for` is not
    // durable yet; what nobody waits for may stay in the kernel's hands until flush_all().
    void flush(LogPosition waited_for);
    void flush_all();  // sync everything: for a timer, about once a second

    void completed();
    LogPosition durable() const { return durable_; }
    const std::optional<Error>& failure() const { return failure_; }

    bool behind() const;     // the disk is slower than the publishers: read no more from them for now
    bool held_back() const;  // the disk is full: publishers wait until there is space
    void close();            // writes and syncs everything; blocks

    struct Stats {
        std::size_t segments = 0;
        std::uint64_t syncs = 0, bytes = 0, spoilt_bytes = 0;
        std::uint64_t read_failures = 0;           // messages that could not be read back for the moment
        std::string read_failure;                  // why the latest read failed; empty: it did not
        std::uint64_t moved = 0, moved_bytes = 0;  // messages rewritten so that their segment could go
        std::optional<Shortage> shortage;          // why and since when publishers are held back
        std::uint64_t disk_free_bytes = 0;
        std::uint64_t log_bytes = 0,
                      live_bytes = 0;  // of all sealed segments, and what is still needed, about
    };
    Stats stats() const;

    void write_submitted();  // the writer's work on this thread, where options.threaded is false
    void prepare_files() { files_.prepare_now(); }  // likewise, where options.prepare_spares is false
    bool submitted() const { return writer_.busy(); }

  private:
    Place here() const { return {current_->name.salt, offset_}; }
    void make_room(std::uint64_t bytes);
    std::uint64_t worth(const Segment& leaving) const;
    void advance(std::uint64_t bytes);
    void begin_segment(std::uint32_t number);
    void roll();
    void emit_settles();
    void emit_mark();
    void order_removals();
    std::uint64_t bytes_to_carry(const Segment& leaving) const;
    void carry_settles_of(const Segment& leaving);
    bool outlives(const Segment& leaving, std::uint32_t settled) const;
    void hand_over();
    void drain();
    void note_synced();
    Segment* find(std::uint32_t number) const;
    std::string_view find_in_batch(const Batch& batch, std::uint32_t segment, std::uint32_t offset) const;
    Result<std::string_view> find_record(const Segment& segment, std::uint32_t offset);
    void emit_attempts();
    void carry_attempts_of(const Segment& segment);
    bool worth_rewriting(const Segment& segment) const;
    Segment* choose_garbage() const;
    void rewrite_some();
    std::uint32_t rewrite_record(Segment& from, std::uint32_t offset);
    void move(Segment& from, const MessageRecord& message);

    std::unique_ptr<Storage> storage_;
    Options options_;
    SegmentFiles files_;
    Writer writer_;

    Topology topology_;
    std::vector<std::unique_ptr<Segment>> segments_;  // by number, the last one is being filled
    Segment* current_ = nullptr;
    std::uint32_t offset_ = 0;         // where the next record of current_ goes
    std::uint32_t records_begin_ = 0;  // after its topology snapshot
    std::uint64_t limit_ = 0;          // beyond it, the next segment
    std::uint64_t wanted_bytes_ = 0;   // of the next file
    std::uint64_t file_bytes_ = 0;     // of the one being written

    Batch filling_, writing_;
    std::vector<DeliveryId> pending_settles_, pending_attempts_;
    struct Settle {
        DeliveryId delivery;
        std::uint32_t body_bytes = 0;
    };
    std::vector<Settle> early_settles_;  // asked for while the log was still being recovered
    std::vector<AttemptsOf> attempts_;
    std::vector<Run> runs_;
    std::vector<Segment*> removable_;  // sealed, and nothing live
    std::vector<Segment*> kept_back_;  // of these, those whose settles are too many to write again
    LogPosition position_ = 0, durable_ = 0, waited_for_ = 0;
    SegmentName written_segment_, synced_segment_;  // how far, in the files
    std::uint32_t written_offset_ = 0, synced_offset_ = 0;
    std::uint32_t marked_offset_ = 0;  // of current_: what the last mark proves
    std::uint32_t idle_mark_end_ = 0;  // nothing came after a mark that flush_all() wrote
    std::optional<Error> failure_;
    std::uint64_t syncs_ = 0, spoilt_bytes_ = 0;

    SegmentReader reader_;
    std::uint64_t read_failures_ = 0;
    std::string read_failure_;

    // Rewriting: see log_rewrite.cc.
    Forwarding forwarding_;
    Segment* rewriting_ = nullptr;
    std::uint32_t rewritten_to_ = 0;        // within it
    std::uint32_t rewritten_ordinals_ = 0;  // those of the messages before that place
    std::vector<MovedDelivery> moving_;
    std::uint64_t ticks_ = 0;  // of flush_all()
    std::uint64_t moved_ = 0, moved_bytes_ = 0;
    bool closing_ = false;
};

}  // namespace havn::broker
