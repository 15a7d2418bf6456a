#include "broker/log/rewriter.h"

#include <algorithm>

#include "base/log.h"

namespace havn::broker {
namespace {

constexpr std::uint32_t step_bytes = 1u << 20;    // looked at with one batch
constexpr std::uint64_t copy_bytes = 256u << 10;  // copied with one batch, and at most one record more

}  // namespace

// With space for a new segment, less than half of it must be needed.
bool Rewriter::is_worth_it(const Segment& segment, bool disk_full, std::uint64_t file_bytes) const {
    if (!segment.sealed || segment.leaving || segment.pinned || segment.live == 0) return false;
    // Part of the segment that is written last, and all of the later ones, is still in memory.
    if (segment.name.number >= parts_.progress.written_segment().number) return false;
    const std::uint64_t needed = segment.live_bytes();
    if (disk_full) {
        const std::uint64_t end = std::min(parts_.tail.limit(), file_bytes);
        const std::uint64_t room = end > parts_.tail.offset() ? end - parts_.tail.offset() : 0;
        return needed < segment.end / 4 * 3 &&
               needed + parts_.settlements.bytes_to_carry(segment) + mark_bytes < room / 2;
    }
    return needed < segment.end / 2 && parts_.segments.ticks() >= segment.sealed_at + after_ticks_ &&
           parts_.removals.pays(segment);
}

// The emptiest one, while less than half of all sealed bytes is needed or the disk is full.
void Rewriter::choose(bool disk_full, std::uint64_t file_bytes) {
    if (active()) return;
    std::uint64_t all = 0, needed = 0;
    Segment* emptiest = nullptr;
    for (const std::unique_ptr<Segment>& segment : parts_.segments.all()) {
        if (!segment->sealed || segment->leaving) continue;
        all += segment->end;
        needed += segment->live_bytes();
        if (emptiest && segment->live_bytes() * emptiest->end >= emptiest->live_bytes() * segment->end) {
            continue;
        }
        if (is_worth_it(*segment, disk_full, file_bytes)) emptiest = segment.get();
    }
    if (needed < all / 2 || disk_full) from_ = emptiest;
}

void Rewriter::end() {
    from_ = nullptr;
    offset_ = ordinals_ = 0;
}

void Rewriter::step() {
    if (from_->live == 0) return end();  // the rest was settled meanwhile, which has offered it for removal
    const std::uint64_t copied_until = moved_bytes_ + copy_bytes;
    const std::uint64_t looked_until = std::uint64_t{offset_} + step_bytes;
    if (offset_ == 0) offset_ = file_header_bytes;
    while (from_->live > 0 && offset_ < from_->end) {
        if (offset_ >= looked_until || moved_bytes_ >= copied_until) return;  // more with the next batch
        const std::uint32_t size = rewrite_record();
        if (size == 0) break;
        offset_ += size;
    }
    if (from_->live == 0) {
        parts_.segments.offer(*from_);
    } else {
        from_->pinned = true;
        log::warning("{}: cannot be rewritten beyond byte {}; it stays as long as a message in it does",
                     parts_.storage.path(from_->name.file()), offset_);
    }
    end();
}

// How long the record at `offset_` is; 0: it cannot be read.
std::uint32_t Rewriter::rewrite_record() {
    const Result<std::string_view> bytes = parts_.reader.record(from_->name, offset_);
    Record record;
    if (!bytes || check_record(*bytes, {from_->name.salt, offset_}, record) != RecordCheck::ok) return 0;
    if (!is_message(record.type)) return record.size;
    const std::optional<MessageRecord> message = parse_next_message(record, from_->name.number, ordinals_);
    if (!message) return record.size;  // recovery gave it no ordinals either
    ordinals_ = message->first_ordinal + message->queue_count;
    if (ordinals_ > from_->deliveries) return 0;
    move(*message);
    return record.size;
}

void Rewriter::move(const MessageRecord& message) {
    moving_.clear();
    for (std::uint32_t i = 0; i < message.queue_count; ++i) {
        const std::uint32_t ordinal = message.first_ordinal + i;
        if (from_->is_settled(ordinal)) continue;
        const auto attempts = from_->attempts.find(ordinal);
        moving_.push_back(
            {message.queue(i), ordinal, attempts == from_->attempts.end() ? 0u : attempts->second});
    }
    if (moving_.empty()) return;
    const std::uint64_t bytes = broker::moved_bytes(message.parts, moving_.size());
    LogTail& tail = parts_.tail;
    tail.make_room(bytes);
    Origin origin = message.origin;
    if (!message.moved) origin = {0, {from_->name.number, message.first_ordinal}, message.published};
    origin.segment = from_->name.number;
    Segment& to = tail.segment();
    std::uint32_t ordinal = to.deliveries;
    const std::uint32_t offset = tail.offset();
    tail.put_record(bytes, [&](ByteBuffer& out, Place at) {
        add_moved(out, at, ordinal, origin, moving_, message.parts);
    });
    to.note_settles_of(from_->name.number);
    to.add_deliveries(moving_.size(), message.parts.body.size());
    for (const MovedDelivery& moved : moving_) {
        if (moved.attempts != 0) to.attempts[ordinal] = static_cast<std::uint16_t>(moved.attempts);
        from_->settle(moved.ordinal, message.parts.body.size());
        parts_.forwarding.add({from_->name.number, moved.ordinal}, {{to.name.number, ordinal++}, offset});
    }
    ++moved_;
    moved_bytes_ += bytes;
}

}  // namespace havn::broker
