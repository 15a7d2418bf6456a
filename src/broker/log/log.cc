#include "broker/log/log.h"

#include <algorithm>
#include <array>
#include <random>

#include "base/assert.h"

namespace havn::broker {
namespace {

constexpr std::size_t behind_bytes = 8u << 20;           // unwritten: beyond it publishers are not read
constexpr std::uint64_t spare_after_bytes = 256u << 10;  // a log with less traffic needs none

LogTail::Salt salt_of(const Log::Options& options) {
    if (options.salt) return options.salt;
    return [] { return std::random_device{}(); };
}

}  // namespace

Log::Log(std::unique_ptr<Storage> storage, Options options)
    : storage_(std::move(storage)),
      options_(std::move(options)),
      files_(*storage_, {options_.segment_bytes, options_.first_segment_bytes, options_.reserve_bytes},
             options_.prepare_spares),
      writer_(files_, options_.written),
      reader_(*storage_),
      messages_(*storage_, reader_),
      tail_(segments_, files_, options_.first_segment_bytes, options_.segment_bytes, salt_of(options_)),
      settlements_(segments_, tail_),
      removals_(segments_, tail_, settlements_, options_.first_segment_bytes),
      rewriter_({.segments = segments_,
                 .tail = tail_,
                 .settlements = settlements_,
                 .removals = removals_,
                 .progress = progress_,
                 .reader = reader_,
                 .forwarding = forwarding_,
                 .storage = *storage_},
                options_.rewrite_after_ticks) {}

Log::~Log() {
    writer_.stop();
}

Result<> Log::recover(RecoverySink& sink) {
    HAVN_ASSERT(!tail_.begun(), "a log is recovered once");
    Recovery recovery(*storage_);
    if (Result<> scanned = recovery.scan(); !scanned) return scanned;
    for (const auto& [key, value] : recovery.topology()) sink.on_topology(key, value);
    sink.on_topology_complete();
    std::vector<Recovery::Orphan> orphans;
    if (Result<> delivered = recovery.deliver(sink, orphans); !delivered) return delivered;
    if (Result<> cut = recovery.cut_tail(); !cut) return cut;
    spoilt_bytes_ = recovery.spoilt_bytes();
    segments_.set(std::move(recovery.segments()));
    if (recovery.last_number() == UINT32_MAX) {
        return fail(Error::Kind::corrupt, "the log's segment numbers are used up");
    }
    tail_.begin(recovery.last_number() + 1, std::move(recovery.topology()));
    for (const Settle& early : early_settles_) settle(early.delivery, early.body_bytes);
    for (const Recovery::Orphan& orphan : orphans) settle(orphan.delivery, orphan.body_bytes);
    early_settles_ = {};

    progress_.wait_for(tail_.position());
    hand_over();
    writer_.write_here();
    if (writer_.stalled()) {
        return fail(Error::Kind::unavailable, "no space for a new segment in " + storage_->path(""),
                    "free some megabytes on that file system; nothing in the folder was lost");
    }
    completed();
    if (failure_) return std::unexpected(*failure_);
    if (options_.threaded) writer_.start();
    return {};
}

Journal::Placement Log::append(const Message& message, std::span<const QueueId> queues,
                               WallMilliseconds published) {
    HAVN_ASSERT(!queues.empty(), "a message in no queue is not stored");
    const Message::Parts parts = message.parts();
    const std::uint64_t bytes = message_bytes(parts, queues.size());
    tail_.make_room(bytes);
    Segment& segment = tail_.segment();
    const Placement placement{{segment.name.number, segment.deliveries}, tail_.offset()};
    tail_.put_record(bytes, [&](ByteBuffer& out, Place at) {
        add_message(out, at, segment.deliveries, queues, parts, published);
    });
    segment.add_deliveries(queues.size(), parts.body.size());
    return placement;
}

void Log::settle(DeliveryId named, std::uint32_t body_bytes) {
    if (!tail_.begun()) return early_settles_.push_back({named, body_bytes});
    const DeliveryId delivery = forwarding_.take(named);
    if (segments_.settle(delivery, body_bytes)) settlements_.note_settled(delivery);
}

void Log::note_attempts(DeliveryId named, std::uint32_t attempts) {
    settlements_.note_attempts(forwarding_.find({named, 0}).first, attempts);
}

void Log::put(std::string_view key, std::string_view value) {
    tail_.put(key, value);
}

void Log::erase(std::string_view key) {
    tail_.erase(key);
}

Result<MessagePtr> Log::read(DeliveryId named, std::uint32_t named_offset) {
    const auto [delivery, offset] = forwarding_.find({named, named_offset});
    const Segment* const segment = segments_.find(delivery.segment);
    if (!segment) return fail(Error::Kind::corrupt, "a delivery of a segment that is gone");
    const std::array<const Batch*, 2> batches{&tail_.batch(), writer_.busy() ? &writing_ : nullptr};
    return messages_.read(delivery, offset, *segment, batches,
                          progress_.written_offset(segment->name.number));
}

void Log::flush(LogPosition waited_for) {
    progress_.wait_for(std::min(waited_for, tail_.position()));
    if (!writer_.busy()) hand_over();
}

void Log::flush_all() {
    segments_.tick();
    choose_garbage();
    settlements_.emit();
    if (writer_.busy() || durable() < tail_.position()) return flush(tail_.position());
    if (tail_.offset() == idle_mark_end_) return;
    progress_.emit_mark(tail_);  // nothing moves: what is synced may as well be provable
    idle_mark_end_ = tail_.offset();
    flush(durable());
}

void Log::choose_garbage() {
    if (!closing_ && !failure_) rewriter_.choose(held_back(), file_bytes_);
}

void Log::hand_over() {
    if (failure_) return;
    settlements_.emit();
    if (rewriter_.active() && !closing_) rewriter_.step();
    removals_.order();
    const Batch& batch = tail_.batch();
    const bool wanted = progress_.is_waited_for() || !batch.removals.empty();
    if (batch.empty() && !wanted && !rewriter_.active()) return;
    if (wanted) progress_.emit_mark(tail_);
    tail_.take(writing_);
    writing_.sync = wanted;
    writing_.end = tail_.position();
    writer_.submit(&writing_);
}

void Log::completed() {
    std::optional<Result<>> outcome = writer_.take_outcome();
    if (!outcome) return;
    if (!*outcome) {
        failure_ = outcome->error();
        return;
    }
    progress_.note_written(writing_);
    file_bytes_ = writer_.file_bytes();
    if (progress_.written_segment().number == tail_.segment().name.number) tail_.file_has(file_bytes_);
    remove_what_is_gone();
    writing_.bytes.clear(buffer_kept_bytes);
    writing_.chunks.clear();
    writing_.removals.clear();
    leave_unprepared_segment();
    const bool rewriting = rewriter_.active() && !closing_;
    const bool more = !tail_.batch().empty() || segments_.any_removable();
    if (more || progress_.is_waited_for() || rewriting) hand_over();
}

void Log::remove_what_is_gone() {
    for (const SegmentName& gone : writing_.removals) {
        reader_.forget(gone.number);
        segments_.remove(gone.number);
    }
    if (writing_.removals.empty()) return;
    removals_.try_again();
    choose_garbage();
}

// The first segment is begun without waiting for zeroed blocks; it is left as soon as there are some.
void Log::leave_unprepared_segment() {
    if (tail_.bytes_used() > std::min(spare_after_bytes, tail_.limit() / 4)) {
        files_.want_spare(tail_.next_segment_bytes());
    }
    if (tail_.used() && !writer_.prepared() && files_.spare_ready()) tail_.leave_segment();
}

bool Log::behind() const {
    return tail_.batch().bytes.size() > behind_bytes;
}

bool Log::held_back() const {
    return writer_.stalled() || files_.out_of_space();
}

void Log::drain() {
    while (writer_.busy() && !failure_) {
        options_.threaded ? writer_.wait() : writer_.write_here();
        if (writer_.stalled()) return;
        completed();
    }
}

void Log::close() {
    if (!tail_.begun()) return;
    closing_ = true;
    rewriter_.stop();
    for (const bool mark : {false, true}) {  // the second round marks what the first has synced
        drain();
        if (failure_ || writer_.stalled()) break;
        settlements_.emit();
        if (mark) progress_.emit_mark(tail_);
        flush(tail_.position());
    }
    drain();
    writer_.stop();
}

void Log::write_submitted() {
    if (!writer_.busy()) return;
    writer_.write_here();
    completed();
}

Log::Stats Log::stats() const {
    Stats stats{.segments = segments_.all().size(),
                .syncs = progress_.syncs(),
                .bytes = tail_.position(),
                .spoilt_bytes = spoilt_bytes_,
                .read_failures = messages_.failures(),
                .read_failure = messages_.failure(),
                .moved = rewriter_.moved(),
                .moved_bytes = rewriter_.moved_bytes(),
                .shortage = files_.shortage(),
                .disk_free_bytes = storage_->free_bytes()};
    for (const std::unique_ptr<Segment>& segment : segments_.all()) {
        if (!segment->sealed) continue;
        stats.log_bytes += segment->end;
        stats.live_bytes += segment->live_bytes();
    }
    return stats;
}

}  // namespace havn::broker
