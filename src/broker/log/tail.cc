#include "broker/log/tail.h"

#include <algorithm>

#include "base/assert.h"

namespace havn::broker {

LogTail::LogTail(SegmentList& segments, SegmentFiles& files, std::uint64_t first_bytes,
                 std::uint64_t segment_bytes, Salt salt)
    : segments_(segments),
      files_(files),
      segment_bytes_(segment_bytes),
      salt_(std::move(salt)),
      wanted_bytes_(first_bytes) {}

void LogTail::begin(std::uint32_t number, Topology topology) {
    HAVN_ASSERT(!begun(), "a log is begun once");
    topology_ = std::move(topology);
    begin_segment(number);
}

void LogTail::begin_segment(std::uint32_t number) {
    segment_ = &segments_.begin({number, salt_()});
    offset_ = 0;
    batch_.chunks.push_back({segment_->name, 0, batch_.bytes.size(), 0});
    add_file_header(batch_.bytes, number, segment_->name.salt);
    advance(file_header_bytes);
    add_bare(batch_.bytes, here(), RecordType::snapshot_begin);
    advance(bare_bytes);
    for (const auto& [key, value] : topology_) {
        add_put(batch_.bytes, here(), key, value);
        advance(put_bytes(key, value));
    }
    add_bare(batch_.bytes, here(), RecordType::snapshot_end);
    advance(bare_bytes);
    records_begin_ = offset_;
    const std::uint64_t bytes = files_.next_bytes(wanted_bytes_);
    limit_ = std::max(bytes, offset_ + bytes / 2);  // behind a huge topology there is still room
}

std::uint64_t LogTail::next_segment_bytes() const {
    return std::min(wanted_bytes_ * 4, segment_bytes_);
}

void LogTail::roll() {
    add_bare(batch_.bytes, here(), RecordType::seal);
    advance(bare_bytes);
    segments_.seal_current(offset_);
    wanted_bytes_ = next_segment_bytes();
    begin_segment(segment_->name.number + 1);
}

void LogTail::make_room(std::uint64_t bytes) {
    HAVN_ASSERT(begun(), "recover() comes first");
    if (batch_.chunks.empty()) batch_.chunks.push_back({segment_->name, offset_, batch_.bytes.size(), 0});
    if (offset_ + bytes + bare_bytes > limit_ && used()) roll();
}

void LogTail::file_has(std::uint64_t bytes) {
    if (bytes > 2 * std::uint64_t{records_begin_}) limit_ = std::min(limit_, bytes);
}

void LogTail::put(std::string_view key, std::string_view value) {
    add(put_bytes(key, value), [&](ByteBuffer& out, Place at) { add_put(out, at, key, value); });
    topology_.insert_or_assign(std::string(key), std::string(value));
}

void LogTail::erase(std::string_view key) {
    if (!topology_.contains(key)) return;
    add(erase_bytes(key), [&](ByteBuffer& out, Place at) { add_erase(out, at, key); });
    topology_.erase(topology_.find(key));
}

}  // namespace havn::broker
