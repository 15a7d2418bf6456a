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

File* Log::reader(const SegmentName& name) {
    const auto known = std::ranges::find(readers_, name.number, &Reader::segment);
    if (known != readers_.end()) {
        std::rotate(readers_.begin(), known, known + 1);
        return readers_.front().file.get();
    }
    Result<std::unique_ptr<File>> file = storage_->open(name.file(), false);
    if (!file) return nullptr;
    if (readers_.size() == readers_max) readers_.pop_back();
    readers_.insert(readers_.begin(), Reader{name.number, std::move(*file)});
    return readers_.front().file.get();
}

std::string_view Log::read_bytes(const SegmentName& name, std::uint32_t offset, std::size_t size) {
    File* file = reader(name);
    if (!file) return {};
    read_buffer_.clear(buffer_kept_bytes);
    char* into = read_buffer_.grow(size);
    const Result<std::size_t> read = file->read(offset, {into, size});
    return {into, read ? *read : 0};
}

MessagePtr Log::read(DeliveryId delivery, std::uint32_t offset) {
    const Segment* segment = find(delivery.segment);
    if (!segment) return {};
    const Place place{segment->name.salt, offset};
    Record record;
    std::string_view bytes = find_in_batch(filling_, delivery.segment, offset);
    if (bytes.empty() && writer_.busy()) bytes = find_in_batch(writing_, delivery.segment, offset);
    if (bytes.empty()) bytes = read_bytes(segment->name, offset, first_read_bytes);
    RecordCheck check = check_record(bytes, place, record);
    if (check == RecordCheck::bad_payload && record.size > bytes.size()) {
        check = check_record(read_bytes(segment->name, offset, record.size), place, record);
    }
    if (check == RecordCheck::ok && record.type == RecordType::message) {
        const std::optional<MessageRecord> message = parse_message(record.payload);
        if (message && delivery.ordinal - message->first_ordinal < message->queue_count) {
            return MessagePtr::make(message->parts);
        }
    }
    log::error("{}: the message at byte {} is spoilt; it is not served", storage_->path(segment->name.file()),
               offset);
    return {};
}

}  // namespace havn::broker
