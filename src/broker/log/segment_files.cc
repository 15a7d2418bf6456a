#include "broker/log/segment_files.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "base/time.h"

namespace havn::broker {

SegmentFiles::SegmentFiles(Storage& storage, std::uint64_t segment_bytes, bool prepare)
    : storage_(storage), segment_bytes_(segment_bytes) {
    if (Result<std::unique_ptr<File>> spare = storage_.open(spare_name, false)) {
        const Result<std::uint64_t> size = (*spare)->size();
        spare_ready_ = size && *size == segment_bytes_;
    }
    if (!prepare) return;
    wanted_ = !spare_ready_;
    preparer_ = std::thread(&SegmentFiles::prepare_when_wanted, this);
}

SegmentFiles::~SegmentFiles() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (preparer_.joinable()) preparer_.join();
}

// One that stays behind takes space and nothing else: recovery finds no record in it.
void SegmentFiles::remove_unused(const std::string& name) {
    if (Result<> removed = storage_.remove(name); !removed)
        log::warning("a file that is not used stays: {}", removed.error().text());
}

Result<bool> SegmentFiles::take_spare(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const bool ready = spare_ready_;
    if (ready) {
        if (Result<> renamed = storage_.rename(spare_name, name); !renamed)
            return std::unexpected(renamed.error());
        spare_ready_ = false;
    }
    wanted_ = true;
    changed_.notify_all();
    return ready;
}

Result<SegmentFiles::Created> SegmentFiles::create(const std::string& name) {
    Created created;
    Result<bool> taken = take_spare(name);
    if (!taken) return std::unexpected(taken.error());
    created.prepared = *taken;
    Result<std::unique_ptr<File>> file = storage_.open(name, true);
    if (!file) return std::unexpected(file.error());
    created.file = std::move(*file);
    if (!created.prepared) {
        if (Result<> allocated = created.file->allocate(segment_bytes_); !allocated) {
            remove_unused(name);
            return std::unexpected(allocated.error());
        }
        unprepared_.push_back(name);
    }
    if (Result<> synced = storage_.sync_names(); !synced) return std::unexpected(synced.error());
    return created;
}

Result<> SegmentFiles::discard(const std::string& name) {
    {
        const std::lock_guard lock(mutex_);
        bool reusable = false;
        if (!spare_ready_ && std::erase(unprepared_, name) == 0) {
            Result<std::unique_ptr<File>> file = storage_.open(name, false);
            const Result<std::uint64_t> size = file ? (*file)->size() : Result<std::uint64_t>(0);
            reusable = size && *size == segment_bytes_;
        }
        const Result<> gone = reusable ? storage_.rename(name, spare_name) : storage_.remove(name);
        if (!gone) return gone;
        if (reusable) {
            spare_ready_ = true;
            wanted_ = false;
        }
        out_of_space_ = false;
    }
    return storage_.sync_names();
}

void SegmentFiles::prepare_when_wanted() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (!wanted_) {
            changed_.wait(lock);
            continue;
        }
        lock.unlock();
        const Result<> prepared = prepare_spare();
        lock.lock();
        if (prepared) {
            wanted_ = !spare_ready_;
            continue;
        }
        if (prepared.error().kind != Error::Kind::unavailable) {
            log::warning("no spare segment can be prepared, syncs will take longer: {}",
                         prepared.error().text());
            wanted_ = false;
            continue;
        }
        if (!out_of_space_.exchange(true)) {
            log::error("the queue's disk is full, publishers are held back: {}", prepared.error().text());
        }
        changed_.wait_for(lock, seconds(1));
    }
}

// Zeros in small synced pieces, so that the log's own syncs never queue behind many megabytes.
Result<> SegmentFiles::prepare_spare() {
    Result<std::unique_ptr<File>> opened = storage_.open(draft_name, true);
    if (!opened) return std::unexpected(opened.error());
    File& file = **opened;
    const std::string zeros(1u << 20, '\0');
    Result<> done = file.truncate(0);
    if (done) done = file.allocate(segment_bytes_);
    for (std::uint64_t at = 0; done && at < segment_bytes_; at += zeros.size()) {
        const std::size_t size = std::min<std::uint64_t>(zeros.size(), segment_bytes_ - at);
        done = file.write(at, std::string_view(zeros).substr(0, size));
        if (done) done = file.sync();
        const std::lock_guard lock(mutex_);
        if (stopping_ || spare_ready_) break;  // a removed segment was faster
    }
    const std::lock_guard lock(mutex_);
    if (!done || stopping_ || spare_ready_) {
        remove_unused(draft_name);
        return done;
    }
    if (Result<> renamed = storage_.rename(draft_name, spare_name); !renamed) return renamed;
    if (out_of_space_.exchange(false)) log::info("the queue's disk has space again");
    spare_ready_ = true;
    return {};
}

}  // namespace havn::broker
