// The log's records as bytes: docs/formats/log.md is the contract, this is its code. Pure: a segment is a
// span.
//
// A record is a header of 16 bytes, a payload, and zeros up to a multiple of 8. The header carries its own
// checksum, which also covers where the record stands (offset) and in which file (salt): a record found
// anywhere else does not check out, and a length that checks out can be trusted even if the payload is
// spoilt. All integers are little endian.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "broker/core/message/delivery_id.h"
#include "broker/core/message/message.h"
#include "broker/core/message/turn_clock.h"

namespace havn::broker {

// Durable exchanges, queues and bindings, as the core encodes them.
using Topology = std::map<std::string, std::string, std::less<>>;

enum class RecordType : std::uint8_t {
    message_1 = 1,       // a message and the queues it went to, as version 1 wrote it
    settle = 2,          // runs of deliveries that are over
    put = 3,             // topology: key and value
    erase = 4,           // topology: key
    snapshot_begin = 5,  // the puts from here to snapshot_end are the whole topology
    snapshot_end = 6,
    settled_set = 7,  // every settled delivery of one earlier segment
    mark = 8,         // this segment was synced up to here
    seal = 9,         // nothing of this segment comes after
    message = 10,     // a message and the queues it went to
    moved = 11,       // a message of an earlier segment that is to go: settles it there
    attempts = 12,    // how often deliveries have failed
};

inline constexpr std::uint32_t file_header_bytes = 32;
inline constexpr std::uint32_t record_header_bytes = 16;
inline constexpr std::uint32_t payload_bytes_max = 1u << 30;

// A payload of that size as a record.
constexpr std::uint64_t record_bytes(std::uint64_t payload) {
    return (record_header_bytes + payload + 7) & ~7ull;
}

// Bytes that grow without being zeroed first.
class ByteBuffer {
  public:
    ByteBuffer() = default;
    ByteBuffer(ByteBuffer&& other) noexcept { *this = std::move(other); }
    ByteBuffer& operator=(ByteBuffer&& other) noexcept {
        data_.swap(other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
    char* grow(std::size_t size);  // `size` more bytes, to be written by the caller; moves what was there
    void clear(std::size_t keep_at_most);  // gives memory back beyond that many bytes
    std::size_t size() const { return size_; }
    std::string_view view() const { return {data_.get(), size_}; }

  private:
    std::unique_ptr<char[]> data_;
    std::size_t size_ = 0, capacity_ = 0;
};

// Where the next record goes: file and offset are part of its checksum.
struct Place {
    std::uint32_t salt = 0;
    std::uint32_t offset = 0;
};

struct Run {  // deliveries [first, first + count) of a segment
    std::uint32_t segment = 0, first = 0, count = 0;
};

struct AttemptsOf {
    DeliveryId delivery;
    std::uint32_t attempts = 0;
};

struct Origin {                 // of a message that was moved
    std::uint32_t segment = 0;  // where it stood until now
    DeliveryId order;           // its place in the order of publishing: where it stood at first
    WallMilliseconds published = 0;
};
struct MovedDelivery {
    QueueId queue{};
    std::uint32_t ordinal = 0;  // where it stood until now
    std::uint32_t attempts = 0;
};

// Each appends one record (or the file's header) to `out`; the size added is returned by the *_bytes beside
// it.
void add_file_header(ByteBuffer& out, std::uint32_t segment, std::uint32_t salt);
void add_message(ByteBuffer& out, Place place, std::uint32_t first_ordinal, std::span<const QueueId> queues,
                 const Message::Parts& message, WallMilliseconds published);
void add_moved(ByteBuffer& out, Place place, std::uint32_t first_ordinal, const Origin& origin,
               std::span<const MovedDelivery> deliveries, const Message::Parts& message);
void add_attempts(ByteBuffer& out, Place place, std::span<const AttemptsOf> attempts);
void add_settle(ByteBuffer& out, Place place, std::span<const Run> runs);
void add_put(ByteBuffer& out, Place place, std::string_view key, std::string_view value);
void add_erase(ByteBuffer& out, Place place, std::string_view key);
void add_settled_set(ByteBuffer& out, Place place, std::uint32_t segment,
                     std::span<const std::uint64_t> bitmap);
void add_mark(ByteBuffer& out, Place place, std::uint32_t segment, std::uint32_t synced);
void add_record(ByteBuffer& out, Place place, RecordType type, std::string_view payload);  // any, as it is
void add_bare(ByteBuffer& out, Place place, RecordType type);  // snapshot_begin, snapshot_end, seal

std::uint64_t message_bytes(const Message::Parts& message, std::size_t queues);
std::uint64_t moved_bytes(const Message::Parts& message, std::size_t queues);
std::uint64_t attempts_bytes(std::size_t deliveries);
std::uint64_t settle_bytes(std::size_t runs);
std::uint64_t put_bytes(std::string_view key, std::string_view value);
std::uint64_t erase_bytes(std::string_view key);
std::uint64_t settled_set_bytes(std::span<const std::uint64_t> bitmap);
inline constexpr std::uint64_t mark_bytes = record_bytes(8);
inline constexpr std::uint64_t bare_bytes = record_bytes(0);

struct Record {
    RecordType type{};
    std::uint32_t offset = 0;
    std::uint32_t size = 0;  // header, payload and padding
    std::string_view payload;
};

enum class RecordCheck { ok, bad_header, bad_payload };

// What `bytes`, which begin at `place`, start with. With bad_payload, `record.size` is right all the same;
// the record may then be longer than `bytes`.
RecordCheck check_record(std::string_view bytes, Place place, Record& record);

// The version a file's header names, if the header is that segment's and whole.
std::optional<std::uint32_t> check_file_header(std::string_view file, std::uint32_t segment,
                                               std::uint32_t salt);
inline constexpr std::uint32_t log_version = 3;  // written; 1 to 3 are read

// Payloads taken apart; empty if the payload is not what its type demands. Views into the payload.
struct MessageRecord {
    std::uint32_t first_ordinal = 0, queue_count = 0;
    WallMilliseconds published = 0;
    bool moved = false;
    Origin origin;                // if moved
    const char* table = nullptr;  // an entry per queue, unaligned
    Message::Parts parts;
    QueueId queue(std::uint32_t i) const { return QueueId{column(i, 0)}; }
    MovedDelivery moved_delivery(std::uint32_t i) const { return {queue(i), column(i, 1), column(i, 2)}; }

  private:
    std::uint32_t column(std::uint32_t i, std::size_t which) const {
        std::uint32_t value;
        std::memcpy(&value, table + std::size_t{i} * (moved ? 12 : 4) + which * 4, 4);
        return value;
    }
};
struct PutRecord {
    std::string_view key, value;
};
struct SettledSetRecord {
    std::uint32_t segment = 0, words = 0;
    const char* bitmap = nullptr;  // unaligned
    std::uint64_t word(std::uint32_t i) const {
        std::uint64_t bits;
        std::memcpy(&bits, bitmap + std::size_t{i} * 8, 8);
        return bits;
    }
};
struct MarkRecord {
    std::uint32_t segment = 0, synced = 0;
};
constexpr bool is_message(RecordType type) {
    return type == RecordType::message_1 || type == RecordType::message || type == RecordType::moved;
}
std::optional<MessageRecord> parse_message(const Record& record);  // of one that is_message()
// The same, if it is one that the log can have written into that segment: its ordinals rise (the first is
// `first_free` or later), each took at least four bytes of the file, so a bitmap of them is small, and what
// was moved came from an earlier segment. All who walk a segment go by it, or they would not agree on whose
// an ordinal is.
std::optional<MessageRecord> parse_next_message(const Record& record, std::uint32_t segment,
                                                std::uint32_t first_free);
std::optional<std::uint32_t> parse_attempts(std::string_view payload);  // of how many deliveries
AttemptsOf attempts_of(std::string_view payload, std::uint32_t i);
std::optional<PutRecord> parse_put(std::string_view payload);
std::optional<SettledSetRecord> parse_settled_set(std::string_view payload);
std::optional<MarkRecord> parse_mark(std::string_view payload);
std::optional<std::uint32_t> parse_settle(std::string_view payload);  // how many runs
Run settle_run(std::string_view payload, std::uint32_t i);

}  // namespace havn::broker
