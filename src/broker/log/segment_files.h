// Where segment files come from and go to. A file whose blocks have been written before takes a sync at half
// the cost (docs/decisions/0002-broker-log.md): so one spare, zeroed or left over from a removed segment, is
// kept ready.
//
// create() and discard() are called by one thread; the spare is prepared by another, which is this class's
// own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "broker/log/storage.h"

namespace havn::broker {

class SegmentFiles {
  public:
    // `prepare`: keep a spare ready, from a thread. `storage` outlives this.
    SegmentFiles(Storage& storage, std::uint64_t segment_bytes, bool prepare);
    ~SegmentFiles();

    struct Created {
        std::unique_ptr<File> file;
        bool prepared = false;  // all its blocks have been written before
    };
    // A file of that name and of segment_bytes, findable after a crash. Error::unavailable: no space, try
    // again.
    Result<Created> create(const std::string& name);

    // Gone for good once this returns. Its blocks may become the spare.
    Result<> discard(const std::string& name);

    bool spare_ready() const { return spare_ready_.load(std::memory_order_relaxed); }
    bool out_of_space() const { return out_of_space_.load(std::memory_order_relaxed); }

    static constexpr const char* spare_name = "spare";
    static constexpr const char* draft_name = "spare.new";

  private:
    void prepare_when_wanted();
    Result<> prepare_spare();
    Result<bool> take_spare(const std::string& name);
    void remove_unused(const std::string& name);

    Storage& storage_;
    const std::uint64_t segment_bytes_;
    std::mutex mutex_;  // guards the name "spare" and the two conditions below
    std::condition_variable changed_;
    bool stopping_ = false;
    bool wanted_ = false;
    std::vector<std::string> unprepared_;  // made in a hurry, their blocks never written: no use as a spare
    std::atomic<bool> spare_ready_ = false;
    std::atomic<bool> out_of_space_ = false;
    std::thread preparer_;
};

}  // namespace havn::broker
