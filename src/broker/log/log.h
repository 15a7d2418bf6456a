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
#include "broker/log/message_reader.h"
#include "broker/log/recovery.h"
#include "broker/log/removals.h"
#include "broker/log/rewriter.h"
#include "broker/log/segment.h"
#include "broker/log/segment_files.h"
#include "broker/log/segment_reader.h"
#include "broker/log/settlements.h"
#include "broker/log/storage.h"
#include "broker/log/sync_progress.h"
#include "broker/log/tail.h"
#include "broker/log/writer.h"

namespace havn::broker {

inline constexpr std::size_t buffer_kept_bytes = 4u << 20;  // of a batch, between batches

class Log final : public Journal {
  public:
    struct Options {
        std::uint64_t segment_bytes = 64u << 20;  // a larger record gets a larger segment
        // The next ones are four times as large each, up to the above.
        std::uint64_t first_segment_bytes = 4u << 20;
        std::uint64_t reserve_bytes = 1u << 20;  // kept for a full disk
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
    LogPosition position() const override { return tail_.position(); }
    Result<MessagePtr> read(DeliveryId delivery, std::uint32_t offset) override;

    // Everything so far goes to the writer, now or as soon as it is free. It is synced if `waited_for` is not
    // durable yet; what nobody waits for may stay in the kernel's hands until flush_all().
    void flush(LogPosition waited_for);
    void flush_all();  // sync everything: for a timer, about once a second

    void completed();
    LogPosition durable() const { return progress_.durable(); }
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
        // Of all sealed segments, and about how much of it is still needed.
        std::uint64_t log_bytes = 0, live_bytes = 0;
    };
    Stats stats() const;

    void write_submitted();  // the writer's work on this thread, where options.threaded is false
    void prepare_files() { files_.prepare_now(); }  // likewise, where options.prepare_spares is false
    bool submitted() const { return writer_.busy(); }

  private:
    struct Settle {
        DeliveryId delivery;
        std::uint32_t body_bytes = 0;
    };

    void choose_garbage();
    void hand_over();
    void drain();
    void remove_what_is_gone();
    void leave_unprepared_segment();

    std::unique_ptr<Storage> storage_;
    Options options_;
    SegmentFiles files_;
    Writer writer_;
    SegmentReader reader_;
    MessageReader messages_;
    SegmentList segments_;
    LogTail tail_;
    Settlements settlements_;
    Removals removals_;
    SyncProgress progress_;
    Forwarding forwarding_;
    Rewriter rewriter_;

    Batch writing_;                      // the writer's while it is busy
    std::uint64_t file_bytes_ = 0;       // of the file being written
    std::vector<Settle> early_settles_;  // asked for while the log was still being recovered
    std::uint32_t idle_mark_end_ = 0;    // nothing came after a mark that flush_all() wrote
    std::optional<Error> failure_;
    std::uint64_t spoilt_bytes_ = 0;
    bool closing_ = false;
};

}  // namespace havn::broker
