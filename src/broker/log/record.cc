#include "broker/log/record.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/crc32c.h"

namespace havn::broker {

static_assert(std::endian::native == std::endian::little,
              "the log is little endian, and so must the host be");

namespace {

constexpr std::string_view magic{"HAVNLOG\n", 8};
constexpr std::size_t message_1_fixed_bytes = 20;
constexpr std::size_t message_fixed_bytes = 28;
constexpr std::size_t moved_fixed_bytes = 40;

std::uint32_t load32(const char* from) {
    std::uint32_t value;
    std::memcpy(&value, from, 4);
    return value;
}

std::uint64_t load64(const char* from) {
    std::uint64_t value;
    std::memcpy(&value, from, 8);
    return value;
}

char* store64(char* to, std::uint64_t value) {
    std::memcpy(to, &value, 8);
    return to + 8;
}

char* store32(char* to, std::uint32_t value) {
    std::memcpy(to, &value, 4);
    return to + 4;
}

char* store(char* to, std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    return to + bytes.size();
}

}  // namespace

char* ByteBuffer::grow(std::size_t size) {
    if (size_ + size > capacity_) {
        capacity_ = std::max({capacity_ * 2, size_ + size, std::size_t{65536}});
        auto larger = std::make_unique_for_overwrite<char[]>(capacity_);
        if (size_ > 0) std::memcpy(larger.get(), data_.get(), size_);
        data_ = std::move(larger);
    }
    char* fresh = data_.get() + size_;
    size_ += size;
    return fresh;
}

void ByteBuffer::clear(std::size_t keep_at_most) {
    size_ = 0;
    if (capacity_ <= keep_at_most) return;
    data_.reset();
    capacity_ = 0;
}

namespace {

// The header's checksum: length, type and payload checksum as stored, then salt and offset.
std::uint32_t header_checksum(const char* header, std::uint32_t salt, std::uint32_t offset) {
    char covered[20];
    std::memcpy(covered, header, 12);
    store32(store32(covered + 12, salt), offset);
    return crc32c({covered, sizeof covered});
}

char* begin_record(ByteBuffer& out, std::size_t payload) {
    HAVN_ASSERT(payload <= payload_bytes_max, "a record's payload has a bound");
    const std::size_t size = record_bytes(payload);
    char* header = out.grow(size);
    std::memset(header + size - 8, 0,
                8);  // the padding, written over by a payload that needs no or less of it
    return header + record_header_bytes;
}

void end_record(char* payload, std::size_t size, Place place, RecordType type) {
    char* header = payload - record_header_bytes;
    char* at = store32(header, static_cast<std::uint32_t>(size));
    at = store32(at, static_cast<std::uint32_t>(type));
    at = store32(at, crc32c({payload, size}));
    store32(at, header_checksum(header, place.salt, place.offset));
}

}  // namespace

void add_file_header(ByteBuffer& out, std::uint32_t segment, std::uint32_t salt) {
    char* header = out.grow(file_header_bytes);
    char* at = store(header, magic);
    at = store32(at, log_version);
    at = store32(at, segment);
    at = store32(at, salt);
    at = store32(store32(at, 0), 0);
    store32(at, crc32c({header, file_header_bytes - 4}));
}

std::optional<std::uint32_t> check_file_header(std::string_view file, std::uint32_t segment,
                                               std::uint32_t salt) {
    if (file.size() < file_header_bytes || !file.starts_with(magic)) return std::nullopt;
    const char* at = file.data();
    if (load32(at + 12) != segment || load32(at + 16) != salt) return std::nullopt;
    if (load32(at + 28) != crc32c(file.substr(0, file_header_bytes - 4))) return std::nullopt;
    return load32(at + 8);
}

namespace {

std::size_t text_bytes(const Message::Parts& message) {
    return message.exchange.size() + message.routing_key.size() + message.properties.size() +
           message.body.size();
}

// What message and moved begin with.
char* store_fixed(char* at, std::uint32_t first_ordinal, std::size_t queues, const Message::Parts& message,
                  WallMilliseconds published) {
    at = store32(at, first_ordinal);
    at = store32(at, static_cast<std::uint32_t>(queues));
    at = store32(at, static_cast<std::uint32_t>(message.properties.size()));
    at = store32(at, static_cast<std::uint32_t>(message.body.size()));
    at = store32(at, static_cast<std::uint32_t>(message.exchange.size() | message.routing_key.size() << 8));
    return store64(at, static_cast<std::uint64_t>(published));
}

void store_text(char* at, const Message::Parts& message) {
    at = store(at, message.exchange);
    at = store(at, message.routing_key);
    at = store(at, message.properties);
    store(at, message.body);
}

}  // namespace

void add_message(ByteBuffer& out, Place place, std::uint32_t first_ordinal, std::span<const QueueId> queues,
                 const Message::Parts& message, WallMilliseconds published) {
    const std::size_t size = message_fixed_bytes + queues.size() * 4 + text_bytes(message);
    char* payload = begin_record(out, size);
    char* at = store_fixed(payload, first_ordinal, queues.size(), message, published);
    for (const QueueId queue : queues) at = store32(at, static_cast<std::uint32_t>(queue));
    store_text(at, message);
    end_record(payload, size, place, RecordType::message);
}

void add_moved(ByteBuffer& out, Place place, std::uint32_t first_ordinal, const Origin& origin,
               std::span<const MovedDelivery> deliveries, const Message::Parts& message) {
    const std::size_t size = moved_fixed_bytes + deliveries.size() * 12 + text_bytes(message);
    char* payload = begin_record(out, size);
    char* at = store_fixed(payload, first_ordinal, deliveries.size(), message, origin.published);
    at = store32(store32(store32(at, origin.segment), origin.order.segment), origin.order.ordinal);
    for (const MovedDelivery& delivery : deliveries) {
        at = store32(at, static_cast<std::uint32_t>(delivery.queue));
        at = store32(store32(at, delivery.ordinal), delivery.attempts);
    }
    store_text(at, message);
    end_record(payload, size, place, RecordType::moved);
}

void add_attempts(ByteBuffer& out, Place place, std::span<const AttemptsOf> attempts) {
    char* payload = begin_record(out, attempts.size() * 12);
    char* at = payload;
    for (const AttemptsOf& of : attempts) {
        at = store32(store32(store32(at, of.delivery.segment), of.delivery.ordinal), of.attempts);
    }
    end_record(payload, attempts.size() * 12, place, RecordType::attempts);
}

void add_settle(ByteBuffer& out, Place place, std::span<const Run> runs) {
    char* payload = begin_record(out, runs.size() * 12);
    char* at = payload;
    for (const Run& run : runs) at = store32(store32(store32(at, run.segment), run.first), run.count);
    end_record(payload, runs.size() * 12, place, RecordType::settle);
}

void add_put(ByteBuffer& out, Place place, std::string_view key, std::string_view value) {
    const std::size_t size = 4 + key.size() + value.size();
    char* payload = begin_record(out, size);
    store(store(store32(payload, static_cast<std::uint32_t>(key.size())), key), value);
    end_record(payload, size, place, RecordType::put);
}

void add_erase(ByteBuffer& out, Place place, std::string_view key) {
    add_record(out, place, RecordType::erase, key);
}

void add_settled_set(ByteBuffer& out, Place place, std::uint32_t segment,
                     std::span<const std::uint64_t> bitmap) {
    const std::size_t size = 4 + bitmap.size_bytes();
    char* payload = begin_record(out, size);
    char* bits = store32(payload, segment);
    if (!bitmap.empty()) std::memcpy(bits, bitmap.data(), bitmap.size_bytes());
    end_record(payload, size, place, RecordType::settled_set);
}

void add_mark(ByteBuffer& out, Place place, std::uint32_t segment, std::uint32_t synced) {
    char* payload = begin_record(out, 8);
    store32(store32(payload, segment), synced);
    end_record(payload, 8, place, RecordType::mark);
}

void add_record(ByteBuffer& out, Place place, RecordType type, std::string_view payload) {
    char* into = begin_record(out, payload.size());
    store(into, payload);
    end_record(into, payload.size(), place, type);
}

void add_bare(ByteBuffer& out, Place place, RecordType type) {
    add_record(out, place, type, {});
}

std::uint64_t message_bytes(const Message::Parts& message, std::size_t queues) {
    return record_bytes(message_fixed_bytes + queues * 4 + text_bytes(message));
}
std::uint64_t moved_bytes(const Message::Parts& message, std::size_t queues) {
    return record_bytes(moved_fixed_bytes + queues * 12 + text_bytes(message));
}
std::uint64_t attempts_bytes(std::size_t deliveries) {
    return record_bytes(deliveries * 12);
}
std::uint64_t settle_bytes(std::size_t runs) {
    return record_bytes(runs * 12);
}
std::uint64_t put_bytes(std::string_view key, std::string_view value) {
    return record_bytes(4 + key.size() + value.size());
}
std::uint64_t erase_bytes(std::string_view key) {
    return record_bytes(key.size());
}
std::uint64_t settled_set_bytes(std::span<const std::uint64_t> bitmap) {
    return record_bytes(4 + bitmap.size_bytes());
}

RecordCheck check_record(std::string_view bytes, Place place, Record& record) {
    if (bytes.size() < record_header_bytes) return RecordCheck::bad_header;
    const char* header = bytes.data();
    const std::uint32_t length = load32(header), type = load32(header + 4);
    if (type < 1 || type > static_cast<std::uint32_t>(RecordType::attempts)) return RecordCheck::bad_header;
    if (length > payload_bytes_max) return RecordCheck::bad_header;
    if (load32(header + 12) != header_checksum(header, place.salt, place.offset)) {
        return RecordCheck::bad_header;
    }
    record.type = static_cast<RecordType>(type);
    record.offset = place.offset;
    record.size = static_cast<std::uint32_t>(record_bytes(length));
    if (record.size > bytes.size()) return RecordCheck::bad_payload;
    record.payload = bytes.substr(record_header_bytes, length);
    return load32(header + 8) == crc32c(record.payload) ? RecordCheck::ok : RecordCheck::bad_payload;
}

namespace {

std::size_t fixed_bytes(RecordType type) {
    if (type == RecordType::message_1) return message_1_fixed_bytes;
    return type == RecordType::moved ? moved_fixed_bytes : message_fixed_bytes;
}

}  // namespace

std::optional<MessageRecord> parse_message(const Record& from) {
    const std::size_t fixed = fixed_bytes(from.type);
    if (from.payload.size() < fixed) return std::nullopt;
    const char* at = from.payload.data();
    MessageRecord record;
    record.first_ordinal = load32(at);
    record.queue_count = load32(at + 4);
    record.moved = from.type == RecordType::moved;
    const std::uint64_t properties = load32(at + 8), body = load32(at + 12);
    const std::uint32_t sizes = load32(at + 16), exchange = sizes & 0xFF, key = sizes >> 8 & 0xFF;
    const std::uint64_t queues = std::uint64_t{record.queue_count} * (record.moved ? 12 : 4);
    if (sizes >> 16 != 0 || record.queue_count == 0) return std::nullopt;
    if (from.payload.size() != fixed + queues + exchange + key + properties + body) return std::nullopt;
    if (from.type != RecordType::message_1) record.published = static_cast<WallMilliseconds>(load64(at + 20));
    if (record.moved) {
        record.origin = {load32(at + 28), {load32(at + 32), load32(at + 36)}, record.published};
    }
    record.table = at + fixed;
    const char* text = record.table + queues;
    record.parts.exchange = {text, exchange};
    record.parts.routing_key = {text + exchange, key};
    record.parts.properties = {text + exchange + key, properties};
    record.parts.body = {text + exchange + key + properties, body};
    return record;
}

std::optional<MessageRecord> parse_next_message(const Record& record, std::uint32_t segment,
                                                std::uint32_t first_free) {
    const std::optional<MessageRecord> message = parse_message(record);
    if (!message || message->first_ordinal < first_free) return std::nullopt;
    const std::uint64_t end = std::uint64_t{message->first_ordinal} + message->queue_count;
    if (end * 4 > std::uint64_t{record.offset} + record.size) return std::nullopt;
    const Origin& origin = message->origin;
    if (message->moved && (origin.segment >= segment || origin.order.segment > origin.segment)) {
        return std::nullopt;
    }
    return message;
}

std::optional<std::uint32_t> parse_attempts(std::string_view payload) {
    if (payload.size() % 12 != 0) return std::nullopt;
    return static_cast<std::uint32_t>(payload.size() / 12);
}

AttemptsOf attempts_of(std::string_view payload, std::uint32_t i) {
    const char* at = payload.data() + std::size_t{i} * 12;
    return {{load32(at), load32(at + 4)}, load32(at + 8)};
}

std::optional<PutRecord> parse_put(std::string_view payload) {
    if (payload.size() < 4 || load32(payload.data()) > payload.size() - 4) return std::nullopt;
    const std::uint32_t key = load32(payload.data());
    return PutRecord{payload.substr(4, key), payload.substr(4 + key)};
}

std::optional<SettledSetRecord> parse_settled_set(std::string_view payload) {
    if (payload.size() < 4 || (payload.size() - 4) % 8 != 0) return std::nullopt;
    return SettledSetRecord{load32(payload.data()), static_cast<std::uint32_t>((payload.size() - 4) / 8),
                            payload.data() + 4};
}

std::optional<MarkRecord> parse_mark(std::string_view payload) {
    if (payload.size() != 8) return std::nullopt;
    return MarkRecord{load32(payload.data()), load32(payload.data() + 4)};
}

std::optional<std::uint32_t> parse_settle(std::string_view payload) {
    if (payload.size() % 12 != 0) return std::nullopt;
    return static_cast<std::uint32_t>(payload.size() / 12);
}

Run settle_run(std::string_view payload, std::uint32_t i) {
    const char* at = payload.data() + std::size_t{i} * 12;
    return {load32(at), load32(at + 4), load32(at + 8)};
}

}  // namespace havn::broker
