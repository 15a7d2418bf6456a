// Where segment files come from and go to, and what is kept for a full disk.
//
// A file whose blocks have been written before takes a sync at half the cost
// (docs/decisions/0002-broker-log.md): so a log with traffic keeps one spare ready, zeroed or left over from
// a removed segment. Beside it a small reserve is kept for the moment when no other file can be had: a broker
// that starts on a full disk writes its consumers' acknowledgements there.
//
// create() and discard() are called by one thread, what is prepared is prepared by another, which is this
// class's own; the rest may be called from any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "broker/log/storage.h"

namespace havn::broker {

// There is no space; publishers are held back.
struct Shortage {
    std::string cause;
    WallTime since;
};

class SegmentFiles {
  public:
    struct Sizes {
        std::uint64_t segment = 0;  // the largest file, but for that of a larger record
        std::uint64_t first = 0;    // the smallest one
        std::uint64_t reserve = 0;
    };
    // `prepare`: keep spare and reserve, from a thread. `storage` outlives this.
    SegmentFiles(Storage& storage, Sizes sizes, bool prepare);
    ~SegmentFiles();

    // How long the next file will be: that of the spare, or `wanted` if there is none.
    std::uint64_t next_bytes(std::uint64_t wanted);
    void want_spare(std::uint64_t bytes);  // the log has traffic: another segment will be needed

    struct Created {
        std::unique_ptr<File> file;
        std::uint64_t bytes = 0;
        bool prepared = false;  // all its blocks have been written before
    };
    // A file of that name, findable after a crash. Error::unavailable: no space, try again.
    Result<Created> create(const std::string& name);

    // Gone for good once this returns. Its blocks may become the spare or the reserve.
    Result<> discard(const std::string& name);

    bool spare_ready() const { return spare_bytes_.load(std::memory_order_relaxed) != 0; }
    bool out_of_space() const { return out_of_space_.load(std::memory_order_relaxed); }
    std::optional<Shortage> shortage() const;
    void note_stalled(const Error* error);  // the writer has no space; null: it has
    void prepare_now();                     // what is missing, on this thread: where there is no other

    static constexpr const char* spare_name = "spare";
    static constexpr const char* reserve_name = "reserve";
    static constexpr const char* draft_name = "spare.new";

  private:
    void prepare_when_wanted();
    Result<> prepare_missing();
    Result<> prepare_spare(std::uint64_t bytes);
    Result<> prepare_file(const char* name, std::uint64_t bytes);
    Result<Created> take(const char* from, const std::string& name);
    std::optional<Result<Created>> take_spare(const std::string& name);
    Result<Created> take_reserve(const std::string& name, const Error& why);
    Result<> reuse(const std::string& name);
    bool missing() const { return !reserve_ready_ || (spare_wanted_ && spare_bytes_ == 0); }
    void set_short(bool& which, const Error* error);
    void remove_unused(const std::string& name);

    Storage& storage_;
    const Sizes sizes_;
    mutable std::mutex mutex_;  // guards the names "spare" and "reserve" and what follows
    std::condition_variable changed_;
    bool stopping_ = false;
    bool spare_wanted_ = false;
    bool reserve_ready_ = false;
    std::uint64_t wanted_bytes_ = 0;
    std::vector<std::string> unprepared_;  // made in a hurry, their blocks never written: no use as a spare
    bool none_prepared_ = false, stalled_ = false;  // for want of space
    Shortage shortage_;
    std::atomic<std::uint64_t> spare_bytes_ = 0;
    std::atomic<bool> out_of_space_ = false;
    std::thread preparer_;
};

}  // namespace havn::broker
