// Rewriting: a segment of which little is still needed gives its live messages to the segment being written,
// and goes. docs/formats/log.md, "Rewriting".
//
// Nothing is special about the order of writing: a moved record stands where any other would, and settles
// what it replaces by being there. When the last delivery of a segment has been moved the segment is removed
// as one whose deliveries were all acknowledged: after the batch that holds the copies has been synced.
#include "base/log.h"
#include "broker/log/log.h"

namespace havn::broker {

static constexpr std::uint32_t rewrite_step_bytes = 1u << 20;    // looked at between two batches
static constexpr std::uint64_t rewrite_copy_bytes = 256u << 10;  // copied between two batches, and one record

// With space for a new segment, less than half of it must be needed; without, every quarter that comes free
// counts, but what is copied must leave room for acknowledgements in the segment being written.
bool Log::worth_rewriting(const Segment& segment) const {
    if (!segment.sealed || segment.leaving || segment.pinned || segment.live == 0) return false;
    if (segment.name.number >= written_segment_.number) return false;  // part of it is still in memory
    const std::uint64_t needed = segment.live_bytes();
    if (held_back()) {
        const std::uint64_t end = std::min(limit_, file_bytes_);
        const std::uint64_t room = end > offset_ ? end - offset_ : 0;
        return needed < segment.end / 4 * 3 && needed + bytes_to_carry(segment) + mark_bytes < room / 2;
    }
    return needed < segment.end / 2 && ticks_ >= segment.sealed_at + options_.rewrite_after_ticks &&
           bytes_to_carry(segment) <= worth(segment) / 4;
}

// The emptiest one, while less than half of all sealed bytes is needed or the disk is full.
Segment* Log::choose_garbage() const {
    if (closing_ || failure_) return nullptr;
    std::uint64_t all = 0, needed = 0;
    Segment* emptiest = nullptr;
    for (const std::unique_ptr<Segment>& segment : segments_) {
        if (!segment->sealed || segment->leaving) continue;
        all += segment->end;
        needed += segment->live_bytes();
        if (emptiest && segment->live_bytes() * emptiest->end >= emptiest->live_bytes() * segment->end)
            continue;
        if (worth_rewriting(*segment)) emptiest = segment.get();
    }
    return needed < all / 2 || held_back() ? emptiest : nullptr;
}

void Log::rewrite_some() {
    Segment& from = *rewriting_;
    if (from.live == 0) {  // the rest was settled meanwhile, and settle() has seen to it
        rewriting_ = nullptr;
        rewritten_to_ = rewritten_ordinals_ = 0;
        return;
    }
    const std::uint64_t copied_until = moved_bytes_ + rewrite_copy_bytes;
    const std::uint64_t looked_until = std::uint64_t{rewritten_to_} + rewrite_step_bytes;
    if (rewritten_to_ == 0) rewritten_to_ = file_header_bytes;
    while (from.live > 0 && rewritten_to_ < from.end) {
        if (rewritten_to_ >= looked_until || moved_bytes_ >= copied_until)
            return;  // more with the next batch
        const std::uint32_t size = rewrite_record(from, rewritten_to_);
        if (size == 0) break;
        rewritten_to_ += size;
    }
    if (from.live == 0) {
        removable_.push_back(&from);
    } else {
        from.pinned = true;  // what is left stays where it is
        log::warning("{}: cannot be rewritten beyond byte {}; it stays as long as a message in it does",
                     storage_->path(from.name.file()), rewritten_to_);
    }
    rewriting_ = nullptr;
    rewritten_to_ = rewritten_ordinals_ = 0;
}

// How long the record there is; 0: it cannot be read.
std::uint32_t Log::rewrite_record(Segment& from, std::uint32_t offset) {
    const Result<std::string_view> bytes = reader_.record(from.name, offset);
    Record record;
    if (!bytes || check_record(*bytes, {from.name.salt, offset}, record) != RecordCheck::ok) return 0;
    if (!is_message(record.type)) return record.size;
    const std::optional<MessageRecord> message =
        parse_next_message(record, from.name.number, rewritten_ordinals_);
    if (!message) return record.size;  // recovery gave it no ordinals either
    rewritten_ordinals_ = message->first_ordinal + message->queue_count;
    if (rewritten_ordinals_ > from.deliveries) return 0;
    move(from, *message);
    return record.size;
}

void Log::move(Segment& from, const MessageRecord& message) {
    moving_.clear();
    for (std::uint32_t i = 0; i < message.queue_count; ++i) {
        const std::uint32_t ordinal = message.first_ordinal + i;
        if (from.is_settled(ordinal)) continue;
        const auto attempts = from.attempts.find(ordinal);
        moving_.push_back(
            {message.queue(i), ordinal, attempts == from.attempts.end() ? 0u : attempts->second});
    }
    if (moving_.empty()) return;
    const std::uint64_t bytes = moved_bytes(message.parts, moving_.size());
    make_room(bytes);
    Origin origin = message.origin;
    if (!message.moved) origin = {0, {from.name.number, message.first_ordinal}, message.published};
    origin.segment = from.name.number;
    std::uint32_t ordinal = current_->deliveries;
    const std::uint32_t offset = offset_;
    add_moved(filling_.bytes, here(), ordinal, origin, moving_, message.parts);
    advance(bytes);
    current_->note_settles_of(from.name.number);
    current_->add_deliveries(moving_.size(), message.parts.body.size());
    for (const MovedDelivery& moved : moving_) {
        if (moved.attempts != 0) current_->attempts[ordinal] = static_cast<std::uint16_t>(moved.attempts);
        from.settle(moved.ordinal, message.parts.body.size());
        forwarding_.add({from.name.number, moved.ordinal}, {{current_->name.number, ordinal++}, offset});
    }
    ++moved_;
    moved_bytes_ += bytes;
}

}  // namespace havn::broker
