#include "broker/log/segment_files.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "io/clock.h"

namespace havn::broker {

namespace {

std::uint64_t size_of(Storage& storage, const char* name) {
    const Result<std::unique_ptr<File>> file = storage.open(name, false);
    const Result<std::uint64_t> size = file ? (*file)->size() : Result<std::uint64_t>(0);
    return size.value_or(0);
}

}  // namespace

SegmentFiles::SegmentFiles(Storage& storage, Sizes sizes, bool prepare)
    : storage_(storage), sizes_(sizes), wanted_bytes_(sizes.first) {
    const std::uint64_t spare = size_of(storage_, spare_name);
    if (spare >= sizes_.first && spare <= sizes_.segment) spare_bytes_ = spare;
    reserve_ready_ = sizes_.reserve != 0 && size_of(storage_, reserve_name) >= sizes_.reserve;
    if (prepare) preparer_ = std::thread(&SegmentFiles::prepare_when_wanted, this);
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
    if (Result<> removed = storage_.remove(name); !removed) {
        log::warning("a file that is not used stays: {}", removed.error().text());
    }
}

std::optional<Shortage> SegmentFiles::shortage() const {
    const std::lock_guard lock(mutex_);
    if (!out_of_space_) return std::nullopt;
    return shortage_;
}

// Locked. One line when it begins, one when it ends.
void SegmentFiles::set_short(bool& which, const Error* error) {
    which = error != nullptr;
    if (error) shortage_.cause = error->message;
    const bool now = none_prepared_ || stalled_;
    if (out_of_space_.exchange(now) == now) return;
    if (now) {
        shortage_.since = io::wall_now();
        log::error("{}: no space, publishers are held back; consumers are served ({} MiB free): {}",
                   storage_.path(""), storage_.free_bytes() >> 20, error->text());
    } else {
        log::info("{}: there is space again ({} MiB free), publishers go on", storage_.path(""),
                  storage_.free_bytes() >> 20);
    }
}

void SegmentFiles::note_stalled(const Error* error) {
    const std::lock_guard lock(mutex_);
    set_short(stalled_, error);
}

std::uint64_t SegmentFiles::next_bytes(std::uint64_t wanted) {
    const std::lock_guard lock(mutex_);
    wanted_bytes_ = wanted;
    return spare_bytes_ != 0 ? spare_bytes_.load() : wanted;
}

void SegmentFiles::want_spare(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (spare_wanted_ || spare_bytes_ != 0) return;
    spare_wanted_ = true;
    wanted_bytes_ = bytes;
    changed_.notify_all();
}

// Locked.
Result<SegmentFiles::Created> SegmentFiles::take(const char* from, const std::string& name) {
    if (Result<> renamed = storage_.rename(from, name); !renamed) return std::unexpected(renamed.error());
    Result<std::unique_ptr<File>> file = storage_.open(name, false);
    if (!file) return std::unexpected(file.error());
    return Created{std::move(*file), 0, true};
}

std::optional<Result<SegmentFiles::Created>> SegmentFiles::take_spare(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (spare_bytes_ == 0) return std::nullopt;
    Result<Created> taken = take(spare_name, name);
    if (!taken) return taken;
    taken->bytes = spare_bytes_.exchange(0);
    spare_wanted_ = false;
    return taken;
}

// The last one there is: from now on only what makes room may be written.
Result<SegmentFiles::Created> SegmentFiles::take_reserve(const std::string& name, const Error& why) {
    const std::lock_guard lock(mutex_);
    if (!reserve_ready_) return std::unexpected(why);
    Result<Created> taken = take(reserve_name, name);
    if (!taken) return taken;
    taken->bytes = sizes_.reserve;
    reserve_ready_ = false;
    spare_wanted_ = true;  // before publishers go on there is to be more room than the next reserve
    set_short(none_prepared_, &why);
    changed_.notify_all();
    return taken;
}

Result<SegmentFiles::Created> SegmentFiles::create(const std::string& name) {
    std::optional<Result<Created>> spare = take_spare(name);
    Result<Created> created = spare ? std::move(*spare) : Result<Created>(Created{});
    if (!created) return created;
    if (!created->file) {
        Result<std::unique_ptr<File>> file = storage_.open(name, true);
        Result<> made = file ? (*file)->allocate(wanted_bytes_) : Result<>(std::unexpected(file.error()));
        if (made) {
            created = Created{std::move(*file), wanted_bytes_, false};
            unprepared_.push_back(name);
        } else {
            if (file) remove_unused(name);
            if (made.error().kind != Error::Kind::unavailable) return std::unexpected(made.error());
            created = take_reserve(name, made.error());
            if (!created) return created;
        }
    }
    if (Result<> synced = storage_.sync_names(); !synced) return std::unexpected(synced.error());
    return created;
}

// Locked. While there is no space any file is good enough, and the reserve comes first.
Result<> SegmentFiles::reuse(const std::string& name) {
    Result<std::unique_ptr<File>> file = storage_.open(name, false);
    const Result<std::uint64_t> size = file ? (*file)->size() : Result<std::uint64_t>(0);
    const bool prepared = std::erase(unprepared_, name) == 0;
    if (!size) return storage_.remove(name);
    if (none_prepared_ && !reserve_ready_ && sizes_.reserve != 0 && *size >= sizes_.reserve) {
        if (Result<> cut = (*file)->truncate(sizes_.reserve); !cut) return cut;
        if (Result<> renamed = storage_.rename(name, reserve_name); !renamed) return renamed;
        reserve_ready_ = true;
        return {};
    }
    const std::uint64_t enough = none_prepared_ ? sizes_.first : wanted_bytes_;
    const bool wanted = (prepared || none_prepared_) && (spare_wanted_ || none_prepared_);
    if (spare_bytes_ != 0 || !wanted || *size < enough || *size > sizes_.segment) {
        return storage_.remove(name);
    }
    if (Result<> renamed = storage_.rename(name, spare_name); !renamed) return renamed;
    spare_bytes_ = *size;
    spare_wanted_ = false;
    return {};
}

Result<> SegmentFiles::discard(const std::string& name) {
    {
        const std::lock_guard lock(mutex_);
        if (Result<> gone = reuse(name); !gone) return gone;
        if (none_prepared_ && !missing()) set_short(none_prepared_, nullptr);
        changed_.notify_all();  // there may be space for what is missing
    }
    return storage_.sync_names();
}

void SegmentFiles::prepare_when_wanted() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (!missing()) {
            changed_.wait(lock);
            continue;
        }
        lock.unlock();
        const Result<> prepared = prepare_missing();
        lock.lock();
        if (!prepared && !stopping_) changed_.wait_for(lock, seconds(1));
    }
}

void SegmentFiles::prepare_now() {
    while (true) {
        {
            const std::lock_guard lock(mutex_);
            if (!missing()) return;
        }
        if (!prepare_missing()) return;
    }
}

Result<> SegmentFiles::prepare_missing() {
    bool reserve = false;
    std::uint64_t bytes = 0;
    {
        const std::lock_guard lock(mutex_);
        reserve = !reserve_ready_;
        bytes = wanted_bytes_;
    }
    const Result<> done = reserve ? prepare_file(reserve_name, sizes_.reserve) : prepare_spare(bytes);
    const std::lock_guard lock(mutex_);
    if (done) {
        if (none_prepared_ && !missing()) set_short(none_prepared_, nullptr);
    } else if (done.error().kind == Error::Kind::unavailable) {
        set_short(none_prepared_, &done.error());
    } else {
        log::warning("{} cannot be prepared: {}", reserve ? reserve_name : spare_name, done.error().text());
        (reserve ? reserve_ready_ : spare_wanted_) = reserve;  // does without
    }
    return done;
}

// As large as wanted, or as there is space for.
Result<> SegmentFiles::prepare_spare(std::uint64_t bytes) {
    for (;;) {
        const Result<> done = prepare_file(spare_name, bytes);
        if (done || done.error().kind != Error::Kind::unavailable || bytes <= sizes_.first) return done;
        bytes = std::max(bytes / 4, sizes_.first);
    }
}

// Zeros in small synced pieces, so that the log's own syncs never queue behind many megabytes.
Result<> SegmentFiles::prepare_file(const char* name, std::uint64_t bytes) {
    Result<std::unique_ptr<File>> opened = storage_.open(draft_name, true);
    if (!opened) return std::unexpected(opened.error());
    File& file = **opened;
    const auto superfluous = [&] {  // a removed segment was faster
        return stopping_ || (name == spare_name ? spare_bytes_ != 0 : reserve_ready_);
    };
    const std::string zeros(1u << 20, '\0');
    Result<> done = file.truncate(0);
    if (done) done = file.allocate(bytes);
    for (std::uint64_t at = 0; done && at < bytes; at += zeros.size()) {
        const std::size_t size = std::min<std::uint64_t>(zeros.size(), bytes - at);
        done = file.write(at, std::string_view(zeros).substr(0, size));
        if (done) done = file.sync();
        const std::lock_guard lock(mutex_);
        if (superfluous()) break;
    }
    const std::lock_guard lock(mutex_);
    if (!done || superfluous()) {
        remove_unused(draft_name);
        return done;
    }
    if (Result<> renamed = storage_.rename(draft_name, name); !renamed) return renamed;
    if (name == spare_name) {
        spare_bytes_ = bytes;
        spare_wanted_ = false;
    } else {
        reserve_ready_ = true;
    }
    return {};
}

}  // namespace havn::broker
