#include "broker/log/writer.h"

#include "base/assert.h"
#include "base/time.h"

namespace havn::broker {

Result<> Writer::switch_to(const SegmentName& segment) {
    if (file_) {
        if (Result<> synced = file_->sync(); !synced) return synced;
    }
    Result<SegmentFiles::Created> created = files_.create(segment.file());
    if (!created) return std::unexpected(created.error());
    file_ = std::move(created->file);
    prepared_ = created->prepared;
    file_bytes_ = created->bytes;
    segment_ = segment.number;
    return {};
}

Result<> Writer::write(const Batch& batch) {
    for (const Batch::Chunk& chunk : batch.chunks) {
        if (chunk.segment.number < segment_) {
            continue;  // tried again: that segment was finished the first time
        }
        if (chunk.segment.number > segment_) {
            if (Result<> switched = switch_to(chunk.segment); !switched) return switched;
        }
        const std::string_view bytes = batch.bytes.view().substr(chunk.begin, chunk.size);
        if (Result<> written = file_->write(chunk.offset, bytes); !written) return written;
    }
    HAVN_ASSERT(batch.sync || batch.removals.empty(), "nothing is removed before what replaces it is synced");
    if (batch.sync && file_) {
        if (Result<> synced = file_->sync(); !synced) return synced;
    }
    for (const SegmentName& segment : batch.removals) {
        if (Result<> removed = files_.discard(segment.file()); !removed) return removed;
    }
    return {};
}

// No space is waited out: publishers are held back meanwhile, and nothing that was taken in is dropped.
Result<> Writer::write_retrying(const Batch& batch) {
    for (;;) {
        Result<> written = write(batch);
        if (written || written.error().kind != Error::Kind::unavailable) {
            if (stalled_.exchange(false)) files_.note_stalled(nullptr);
            return written;
        }
        if (!stalled_.exchange(true)) {
            files_.note_stalled(&written.error());
            changed_.notify_all();
            written_();
        }
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, seconds(1), [this] { return stopping_; })) return written;
    }
}

void Writer::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return batch_ != nullptr || stopping_; });
        if (!batch_) return;
        const Batch& batch = *batch_;
        lock.unlock();
        Result<> outcome = write_retrying(batch);
        lock.lock();
        outcome_ = std::move(outcome);
        batch_ = nullptr;
        changed_.notify_all();
        lock.unlock();
        written_();
        lock.lock();
    }
}

void Writer::start() {
    thread_ = std::thread(&Writer::run, this);
}

void Writer::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Writer::submit(const Batch* batch) {
    HAVN_ASSERT(!busy_, "one batch at a time");
    busy_ = true;
    {
        const std::lock_guard lock(mutex_);
        batch_ = batch;
    }
    changed_.notify_all();
}

std::optional<Result<>> Writer::take_outcome() {
    const std::lock_guard lock(mutex_);
    std::optional<Result<>> outcome;
    outcome.swap(outcome_);
    if (outcome) busy_ = false;
    return outcome;
}

void Writer::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return batch_ == nullptr || stalled_; });
}

void Writer::write_here() {
    Result<> written = write(*batch_);
    const bool full = !written && written.error().kind == Error::Kind::unavailable;
    if (stalled_.exchange(full) != full) files_.note_stalled(full ? &written.error() : nullptr);
    if (full) return;
    const std::lock_guard lock(mutex_);
    outcome_ = std::move(written);
    batch_ = nullptr;
}

}  // namespace havn::broker
