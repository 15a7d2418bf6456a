#include "broker/log/message_reader.h"

#include <optional>

#include "base/log.h"
#include "broker/log/record.h"

namespace havn::broker {
namespace {

// What stands in the batch from there on; empty: that place is not in it.
std::string_view find_in(const Batch& batch, std::uint32_t segment, std::uint32_t offset) {
    for (const Batch::Chunk& chunk : batch.chunks) {
        if (chunk.segment.number != segment) continue;
        if (offset < chunk.offset || offset - chunk.offset >= chunk.size) continue;
        const std::size_t skip = offset - chunk.offset;
        return batch.bytes.view().substr(chunk.begin + skip, chunk.size - skip);
    }
    return {};
}

Result<MessagePtr> message_of(std::string_view bytes, Place place, DeliveryId delivery) {
    Record record;
    if (check_record(bytes, place, record) == RecordCheck::ok && is_message(record.type)) {
        const std::optional<MessageRecord> message = parse_message(record);
        if (message && delivery.ordinal - message->first_ordinal < message->queue_count) {
            return MessagePtr::make(message->parts);
        }
    }
    return fail(Error::Kind::corrupt, "the record is not what was written");
}

}  // namespace

Result<MessagePtr> MessageReader::read(DeliveryId delivery, std::uint32_t offset, const Segment& segment,
                                       std::span<const Batch* const> batches, std::uint32_t written) {
    std::string_view bytes;
    for (const Batch* const batch : batches) {
        if (batch && bytes.empty()) bytes = find_in(*batch, segment.name.number, offset);
    }
    if (bytes.empty()) {
        const Result<std::string_view> in_file = files_.record(segment.name, offset, written);
        if (!in_file) {
            ++failures_;
            if (failure_.empty()) {
                log::error(
                    "messages cannot be read back, their queues wait; it is tried again every second: {}",
                    in_file.error().text());
            }
            failure_ = in_file.error().message;
            return fail(Error::Kind::unavailable, in_file.error().message);
        }
        bytes = *in_file;
    }
    if (!failure_.empty()) log::info("messages can be read back again");
    failure_.clear();
    Result<MessagePtr> message = message_of(bytes, {segment.name.salt, offset}, delivery);
    if (!message) {
        log::error("{}: the message at byte {} is spoilt; it is not served",
                   storage_.path(segment.name.file()), offset);
    }
    return message;
}

}  // namespace havn::broker
