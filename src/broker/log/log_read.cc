#include "base/log.h"
#include "broker/log/log.h"

namespace havn::broker {

std::string_view Log::find_in_batch(const Batch& batch, std::uint32_t segment, std::uint32_t offset) const {
    for (const Batch::Chunk& chunk : batch.chunks) {
        if (chunk.segment.number != segment || offset < chunk.offset || offset - chunk.offset >= chunk.size)
            continue;
        const std::size_t skip = offset - chunk.offset;
        return batch.bytes.view().substr(chunk.begin + skip, chunk.size - skip);
    }
    return {};
}

// The bytes from there on: the whole record, if it is one.
Result<std::string_view> Log::find_record(const Segment& segment, std::uint32_t offset) {
    std::string_view batched = find_in_batch(filling_, segment.name.number, offset);
    if (batched.empty() && writer_.busy()) batched = find_in_batch(writing_, segment.name.number, offset);
    if (!batched.empty()) return batched;
    const bool being_written = segment.name.number == written_segment_.number;
    return reader_.record(segment.name, offset, being_written ? written_offset_ : UINT32_MAX);
}

static Result<MessagePtr> message_of(std::string_view bytes, Place place, DeliveryId delivery) {
    Record record;
    if (check_record(bytes, place, record) == RecordCheck::ok && is_message(record.type)) {
        const std::optional<MessageRecord> message = parse_message(record);
        if (message && delivery.ordinal - message->first_ordinal < message->queue_count) {
            return MessagePtr::make(message->parts);
        }
    }
    return fail(Error::Kind::corrupt, "the record is not what was written");
}

Result<MessagePtr> Log::read(DeliveryId named, std::uint32_t named_offset) {
    const auto [delivery, offset] = forwarding_.find({named, named_offset});
    const Segment* segment = find(delivery.segment);
    if (!segment) return fail(Error::Kind::corrupt, "a delivery of a segment that is gone");
    const Result<std::string_view> bytes = find_record(*segment, offset);
    if (!bytes) {
        ++read_failures_;
        if (read_failure_.empty()) {
            log::error("messages cannot be read back, their queues wait; it is tried again every second: {}",
                       bytes.error().text());
        }
        read_failure_ = bytes.error().message;
        return fail(Error::Kind::unavailable, bytes.error().message);
    }
    if (!read_failure_.empty()) log::info("messages can be read back again");
    read_failure_.clear();
    Result<MessagePtr> message = message_of(*bytes, {segment->name.salt, offset}, delivery);
    if (!message) {
        log::error("{}: the message at byte {} is spoilt; it is not served",
                   storage_->path(segment->name.file()), offset);
    }
    return message;
}

}  // namespace havn::broker
