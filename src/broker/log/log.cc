#include "broker/log/log.h"

#include <algorithm>
#include <random>

#include "base/assert.h"
#include "base/log.h"

namespace havn::broker {

static constexpr std::size_t behind_bytes = 8u << 20;  // unwritten: beyond it publishers are not read

static constexpr std::uint64_t spare_after_bytes = 256u << 10;  // a log with less traffic needs none

static constexpr std::size_t runs_per_record = 4096;

Log::Log(std::unique_ptr<Storage> storage, Options options)
    : storage_(std::move(storage)),
      options_(std::move(options)),
      files_(*storage_, {options_.segment_bytes, options_.first_segment_bytes, options_.reserve_bytes},
             options_.prepare_spares),
      writer_(files_, options_.written),
      reader_(*storage_) {
    wanted_bytes_ = options_.first_segment_bytes;
    if (!options_.salt) options_.salt = [] { return std::random_device{}(); };
}

Log::~Log() {
    writer_.stop();
}

Result<> Log::recover(RecoverySink& sink) {
    HAVN_ASSERT(!current_, "a log is recovered once");
    Recovery recovery(*storage_);
    if (Result<> scanned = recovery.scan(); !scanned) return scanned;
    topology_ = recovery.topology();
    for (const auto& [key, value] : topology_) sink.on_topology(key, value);
    sink.on_topology_complete();
    std::vector<Recovery::Orphan> orphans;
    if (Result<> delivered = recovery.deliver(sink, orphans); !delivered) return delivered;
    if (Result<> cut = recovery.cut_tail(); !cut) return cut;
    spoilt_bytes_ = recovery.spoilt_bytes();
    segments_ = std::move(recovery.segments());
    for (const std::unique_ptr<Segment>& segment : segments_) {
        if (segment->live == 0) removable_.push_back(segment.get());
    }
    if (recovery.last_number() == UINT32_MAX)
        return fail(Error::Kind::corrupt, "the log's segment numbers are used up");
    begin_segment(recovery.last_number() + 1);
    for (const Settle& early : early_settles_) settle(early.delivery, early.body_bytes);
    for (const Recovery::Orphan& orphan : orphans) settle(orphan.delivery, orphan.body_bytes);
    early_settles_ = {};

    waited_for_ = position_;
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

Segment* Log::find(std::uint32_t number) const {
    const auto found =
        std::ranges::lower_bound(segments_, number, {}, [](const auto& s) { return s->name.number; });
    return found != segments_.end() && (*found)->name.number == number ? found->get() : nullptr;
}

void Log::advance(std::uint64_t bytes) {
    HAVN_ASSERT(offset_ + bytes <= UINT32_MAX, "a segment's offsets have 32 bits");
    offset_ += static_cast<std::uint32_t>(bytes);
    position_ += bytes;
    filling_.chunks.back().size += bytes;
}

// Every segment begins with the whole topology, so that the ones before it can go.
void Log::begin_segment(std::uint32_t number) {
    segments_.push_back(std::make_unique<Segment>());
    current_ = segments_.back().get();
    current_->name = {number, options_.salt()};
    offset_ = 0;
    marked_offset_ = 0;
    filling_.chunks.push_back({current_->name, 0, filling_.bytes.size(), 0});
    add_file_header(filling_.bytes, number, current_->name.salt);
    advance(file_header_bytes);
    add_bare(filling_.bytes, here(), RecordType::snapshot_begin);
    advance(bare_bytes);
    for (const auto& [key, value] : topology_) {
        add_put(filling_.bytes, here(), key, value);
        advance(put_bytes(key, value));
    }
    add_bare(filling_.bytes, here(), RecordType::snapshot_end);
    advance(bare_bytes);
    records_begin_ = offset_;
    const std::uint64_t bytes = files_.next_bytes(wanted_bytes_);
    limit_ = std::max(bytes, offset_ + bytes / 2);  // a huge topology: still room
}

void Log::roll() {
    add_bare(filling_.bytes, here(), RecordType::seal);
    advance(bare_bytes);
    current_->sealed = true;
    current_->end = offset_;
    current_->sealed_at = ticks_;
    if (current_->live == 0) removable_.push_back(current_);
    wanted_bytes_ = std::min(wanted_bytes_ * 4, options_.segment_bytes);
    begin_segment(current_->name.number + 1);
}

// What is added next has that many bytes. A segment takes one record whatever its size.
void Log::make_room(std::uint64_t bytes) {
    HAVN_ASSERT(current_, "recover() comes first");
    if (filling_.chunks.empty())
        filling_.chunks.push_back({current_->name, offset_, filling_.bytes.size(), 0});
    if (offset_ + bytes + bare_bytes > limit_ && offset_ > records_begin_) roll();
}

Journal::Placement Log::append(const Message& message, std::span<const QueueId> queues,
                               WallMilliseconds published) {
    HAVN_ASSERT(!queues.empty(), "a message in no queue is not stored");
    const Message::Parts parts = message.parts();
    const std::uint64_t bytes = message_bytes(parts, queues.size());
    make_room(bytes);
    const Placement placement{{current_->name.number, current_->deliveries}, offset_};
    add_message(filling_.bytes, here(), current_->deliveries, queues, parts, published);
    advance(bytes);
    current_->add_deliveries(queues.size(), parts.body.size());
    return placement;
}

void Log::settle(DeliveryId named, std::uint32_t body_bytes) {
    if (!current_) return early_settles_.push_back({named, body_bytes});
    const DeliveryId delivery = forwarding_.take(named);
    Segment* segment = delivery.segment == current_->name.number ? current_ : find(delivery.segment);
    if (!segment || delivery.ordinal >= segment->deliveries) return;
    if (!segment->settle(delivery.ordinal, body_bytes)) return;
    pending_settles_.push_back(delivery);
    if (segment->live == 0 && segment->sealed) removable_.push_back(segment);
}

void Log::note_attempts(DeliveryId named, std::uint32_t attempts) {
    const DeliveryId delivery = forwarding_.find({named, 0}).first;
    Segment* segment = find(delivery.segment);
    if (!segment || delivery.ordinal >= segment->deliveries || segment->is_settled(delivery.ordinal)) return;
    std::uint16_t& known = segment->attempts[delivery.ordinal];
    known = static_cast<std::uint16_t>(std::min(attempts, 0xFFFFu));
    pending_attempts_.push_back(delivery);
}

void Log::put(std::string_view key, std::string_view value) {
    make_room(put_bytes(key, value));
    add_put(filling_.bytes, here(), key, value);
    advance(put_bytes(key, value));
    topology_.insert_or_assign(std::string(key), std::string(value));
}

void Log::erase(std::string_view key) {
    const auto found = topology_.find(key);
    if (found == topology_.end()) return;
    make_room(erase_bytes(key));
    add_erase(filling_.bytes, here(), key);
    advance(erase_bytes(key));
    topology_.erase(topology_.find(key));
}

// Settles stand behind everything that was appended before they were asked for: a message that moved to
// another queue is never over in the old one without being in the new one.
void Log::emit_settles() {
    if (pending_settles_.empty()) return;
    if (!std::ranges::is_sorted(pending_settles_)) std::ranges::sort(pending_settles_);
    runs_.clear();
    for (const DeliveryId& settled : pending_settles_) {
        if (!runs_.empty() && runs_.back().segment == settled.segment &&
            runs_.back().first + runs_.back().count == settled.ordinal) {
            ++runs_.back().count;
        } else {
            runs_.push_back({settled.segment, settled.ordinal, 1});
        }
    }
    pending_settles_.clear();
    for (std::size_t at = 0; at < runs_.size(); at += runs_per_record) {
        const std::span<const Run> part =
            std::span(runs_).subspan(at, std::min(runs_per_record, runs_.size() - at));
        make_room(settle_bytes(part.size()));
        for (const Run& run : part) current_->note_settles_of(run.segment);
        add_settle(filling_.bytes, here(), part);
        advance(settle_bytes(part.size()));
    }
}

// Attempts that failed: of what was settled since, nobody will ask.
void Log::emit_attempts() {
    attempts_.clear();
    for (const DeliveryId& delivery : pending_attempts_) {
        const Segment* segment = find(delivery.segment);
        if (!segment) continue;
        const auto known = segment->attempts.find(delivery.ordinal);
        if (known != segment->attempts.end()) attempts_.push_back({delivery, known->second});
    }
    pending_attempts_.clear();
    for (std::size_t at = 0; at < attempts_.size(); at += runs_per_record) {
        const std::span<const AttemptsOf> part =
            std::span(attempts_).subspan(at, std::min(runs_per_record, attempts_.size() - at));
        make_room(attempts_bytes(part.size()));
        for (const AttemptsOf& of : part) current_->note_settles_of(of.delivery.segment);
        add_attempts(filling_.bytes, here(), part);
        advance(attempts_bytes(part.size()));
    }
}

// Tells recovery what had been synced, so that it can tell a spoilt record from a torn tail.
void Log::emit_mark() {
    if (synced_segment_.number != current_->name.number || synced_offset_ <= marked_offset_) return;
    make_room(mark_bytes);
    if (synced_segment_.number != current_->name.number) return;  // that made a new segment
    add_mark(filling_.bytes, here(), current_->name.number, synced_offset_);
    advance(mark_bytes);
    marked_offset_ = synced_offset_;
}

// Whether settles of that segment, standing in the leaving one, are still needed. One that leaves before is
// gone before; settles of a segment's own deliveries go with it.
bool Log::outlives(const Segment& leaving, std::uint32_t settled) const {
    const Segment* of = find(settled);
    return of && of != &leaving && !of->leaving;
}

std::uint64_t Log::bytes_to_carry(const Segment& leaving) const {
    std::uint64_t bytes = 0;
    for (const std::uint32_t number : leaving.holds_settles_of) {
        if (!outlives(leaving, number)) continue;
        const Segment& of = *find(number);
        bytes += settled_set_bytes(of.settled) + attempts_bytes(of.attempts.size());
    }
    return bytes;
}

// The settles that stand in a leaving segment must not be forgotten with it: those of segments still there
// are written again, as one set each.
void Log::carry_settles_of(const Segment& leaving) {
    for (const std::uint32_t number : leaving.holds_settles_of) {
        if (!outlives(leaving, number)) continue;
        const std::vector<std::uint64_t>& settled = find(number)->settled;
        make_room(settled_set_bytes(settled));
        current_->note_settles_of(number);
        add_settled_set(filling_.bytes, here(), number, settled);
        advance(settled_set_bytes(settled));
        for (const auto& [ordinal, attempts] : find(number)->attempts) {
            pending_attempts_.push_back({number, ordinal});
        }
    }
    emit_attempts();
}

// What it gives back, at least.
std::uint64_t Log::worth(const Segment& leaving) const {
    return std::max<std::uint64_t>(leaving.end, options_.first_segment_bytes);
}

// A segment goes if that costs less than a quarter of what it gives back; else it waits until another one has
// gone.
void Log::order_removals() {
    std::vector<Segment*> candidates;
    candidates.swap(removable_);  // carrying may seal a segment: one for the next time
    for (Segment* segment : candidates) {
        if (bytes_to_carry(*segment) > worth(*segment) / 4) {
            kept_back_.push_back(segment);
            continue;
        }
        carry_settles_of(*segment);
        segment->leaving = true;
        filling_.removals.push_back(segment->name);
    }
}

void Log::flush(LogPosition waited_for) {
    waited_for_ = std::max(waited_for_, std::min(waited_for, position_));
    if (!writer_.busy()) hand_over();
}

void Log::flush_all() {
    ++ticks_;
    if (!rewriting_) rewriting_ = choose_garbage();
    emit_settles();
    emit_attempts();
    if (writer_.busy() || durable_ < position_) return flush(position_);
    if (offset_ == idle_mark_end_) return;
    emit_mark();  // nothing moves: what is synced may as well be provable
    idle_mark_end_ = offset_;
    flush(durable_);
}

void Log::hand_over() {
    if (failure_) return;
    emit_settles();
    emit_attempts();
    if (rewriting_ && !closing_) rewrite_some();
    order_removals();
    const bool wanted = waited_for_ > durable_ || !filling_.removals.empty();
    if (filling_.empty() && !wanted && !rewriting_) return;
    if (wanted) emit_mark();
    filling_.sync = wanted;
    filling_.end = position_;
    std::swap(filling_, writing_);
    writer_.submit(&writing_);
}

void Log::note_synced() {
    if (!writing_.chunks.empty()) {
        const Batch::Chunk& last = writing_.chunks.back();
        written_segment_ = last.segment;
        written_offset_ = last.offset + static_cast<std::uint32_t>(last.size);
    }
    file_bytes_ = writer_.file_bytes();
    // The file may be shorter than was thought when its segment was begun: the reserve, or a small spare. On
    // a full disk it cannot grow, and the next one may be there.
    const bool is_current = written_segment_.number == current_->name.number;
    if (is_current && file_bytes_ > 2 * std::uint64_t{records_begin_}) limit_ = std::min(limit_, file_bytes_);
    if (!writing_.sync) return;
    ++syncs_;
    durable_ = writing_.end;
    synced_segment_ = written_segment_;
    synced_offset_ = written_offset_;
}

void Log::completed() {
    std::optional<Result<>> outcome = writer_.take_outcome();
    if (!outcome) return;
    if (!*outcome) {
        failure_ = outcome->error();
        return;
    }
    note_synced();
    for (const SegmentName& gone : writing_.removals) {
        reader_.forget(gone.number);
        std::erase_if(segments_, [&](const auto& segment) { return segment->name.number == gone.number; });
    }
    if (!writing_.removals.empty()) {
        removable_.insert(removable_.end(), kept_back_.begin(), kept_back_.end());
        kept_back_.clear();
        if (!rewriting_) rewriting_ = choose_garbage();
    }
    writing_.bytes.clear(buffer_kept_bytes);
    writing_.chunks.clear();
    writing_.removals.clear();
    // The first segment is begun without waiting for zeroed blocks; it is left as soon as there are some.
    const bool used = offset_ > records_begin_;
    if (offset_ - records_begin_ > std::min(spare_after_bytes, limit_ / 4))
        files_.want_spare(std::min(wanted_bytes_ * 4, options_.segment_bytes));
    if (used && !writer_.prepared() && files_.spare_ready()) make_room(limit_);
    const bool rewriting = rewriting_ && !closing_;
    if (!filling_.empty() || !removable_.empty() || waited_for_ > durable_ || rewriting) hand_over();
}

bool Log::behind() const {
    return filling_.bytes.size() > behind_bytes;
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
    if (!current_) return;
    closing_ = true;
    rewriting_ = nullptr;
    for (const bool mark : {false, true}) {  // the second round marks what the first has synced
        drain();
        if (failure_ || writer_.stalled()) break;
        emit_settles();
        emit_attempts();
        if (mark) emit_mark();
        flush(position_);
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
    Stats stats{.segments = segments_.size(),
                .syncs = syncs_,
                .bytes = position_,
                .spoilt_bytes = spoilt_bytes_,
                .read_failures = read_failures_,
                .read_failure = read_failure_,
                .moved = moved_,
                .moved_bytes = moved_bytes_,
                .shortage = files_.shortage(),
                .disk_free_bytes = storage_->free_bytes()};
    for (const std::unique_ptr<Segment>& segment : segments_) {
        if (!segment->sealed) continue;
        stats.log_bytes += segment->end;
        stats.live_bytes += segment->live_bytes();
    }
    return stats;
}

}  // namespace havn::broker
