#include <algorithm>

#include "base/log.h"
#include "broker/log/log.h"

namespace havn::broker {

static constexpr std::size_t readers_max = 32;
static constexpr std::size_t first_read_bytes = 4096;  // most records whole, with one call

std::string_view Log::find_in_batch(const Batch& batch, std::uint32_t segment, std::uint32_t offset) const {
    for (const Batch::Chunk& chunk : batch.chunks) {
        if (chunk.segment.number != segment || offset < chunk.offset || offset - chunk.offset >= chunk.size)
            continue;
        const std::size_t skip = offset - chunk.offset;
        return batch.bytes.view().substr(chunk.begin + skip, chunk.size - skip);
    }
    return {};
}

Result<File*> Log::reader(const SegmentName& name) {
    const auto known = std::ranges::find(readers_, name.number, &Reader::segment);
    if (known != readers_.end()) {
        std::rotate(readers_.begin(), known, known + 1);
        return readers_.front().file.get();
    }
    if (readers_.size() == readers_max) readers_.pop_back();
    Result<std::unique_ptr<File>> file = storage_->open(name.file(), false);
    if (!file && !readers_.empty()) {  // perhaps for want of a descriptor: one of ours can be spared
        readers_.pop_back();
        file = storage_->open(name.file(), false);
    }
    if (!file) return std::unexpected(file.error());
    readers_.insert(readers_.begin(), Reader{name.number, std::move(*file)});
    return readers_.front().file.get();
}

Result<std::string_view> Log::read_bytes(const SegmentName& name, std::uint32_t offset, std::size_t size) {
    const Result<File*> file = reader(name);
    if (!file) return std::unexpected(file.error());
    read_buffer_.clear(buffer_kept_bytes);
    char* into = read_buffer_.grow(size);
    const Result<std::size_t> read = (*file)->read(offset, {into, size});
    if (!read) return std::unexpected(read.error());
    return std::string_view(into, *read);
}

// The bytes from there on: the whole record, if it is one.
Result<std::string_view> Log::find_record(const Segment& segment, std::uint32_t offset) {
    const Place place{segment.name.salt, offset};
    std::string_view batched = find_in_batch(filling_, segment.name.number, offset);
    if (batched.empty() && writer_.busy()) batched = find_in_batch(writing_, segment.name.number, offset);
    if (!batched.empty()) return batched;
    const Result<std::string_view> first = read_bytes(segment.name, offset, first_read_bytes);
    Record record;
    if (!first || check_record(*first, place, record) != RecordCheck::bad_payload) return first;
    return record.size > first->size() ? read_bytes(segment.name, offset, record.size) : first;
}

static Result<MessagePtr> message_of(std::string_view bytes, Place place, DeliveryId delivery) {
    Record record;
    if (check_record(bytes, place, record) == RecordCheck::ok && record.type == RecordType::message) {
        const std::optional<MessageRecord> message = parse_message(record.payload);
        if (message && delivery.ordinal - message->first_ordinal < message->queue_count) {
            return MessagePtr::make(message->parts);
        }
    }
    return fail(Error::Kind::corrupt, "the record is not what was written");
}

Result<MessagePtr> Log::read(DeliveryId delivery, std::uint32_t offset) {
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
