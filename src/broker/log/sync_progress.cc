#include "broker/log/sync_progress.h"

namespace havn::broker {

void SyncProgress::note_written(const Batch& batch) {
    if (!batch.chunks.empty()) {
        const Batch::Chunk& last = batch.chunks.back();
        written_segment_ = last.segment;
        written_offset_ = last.offset + static_cast<std::uint32_t>(last.size);
    }
    if (!batch.sync) return;
    ++syncs_;
    durable_ = batch.end;
    synced_segment_ = written_segment_;
    synced_offset_ = written_offset_;
}

void SyncProgress::emit_mark(LogTail& tail) {
    const auto is_synced = [&] { return synced_segment_.number == tail.segment().name.number; };
    if (!is_synced()) return;
    if (marked_segment_ == synced_segment_.number && synced_offset_ <= marked_offset_) return;
    tail.make_room(mark_bytes);
    if (!is_synced()) return;  // that began a new segment
    tail.put_record(mark_bytes, [&](ByteBuffer& out, Place at) {
        add_mark(out, at, synced_segment_.number, synced_offset_);
    });
    marked_segment_ = synced_segment_.number;
    marked_offset_ = synced_offset_;
}

}  // namespace havn::broker
