// Batches of records to disk, one at a time, by a thread of its own: write, sync if asked, then remove what
// the batch made superfluous. The next batch grows meanwhile: that is the group commit.
//
// Order that recovery relies on: a segment's file appears only after all before it is synced, and a segment's
// file goes only after the batch that ordered it is synced; each removal is on disk before the next one.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "broker/log/record.h"
#include "broker/log/segment.h"
#include "broker/log/segment_files.h"

namespace havn::broker {

struct Batch {
    struct Chunk {  // consecutive bytes of one segment
        SegmentName segment;
        std::uint32_t offset = 0;
        std::size_t begin = 0, size = 0;  // within `bytes`
    };
    ByteBuffer bytes;
    std::vector<Chunk> chunks;
    std::vector<SegmentName> removals;  // once all of the above is synced; demands `sync`
    LogPosition end = 0;
    bool sync = false;

    bool empty() const { return chunks.empty() && removals.empty(); }
};

class Writer {
  public:
    // `written` is called on the writer's thread when a submitted batch is done; take_outcome() then tells
    // how.
    Writer(SegmentFiles& files, std::function<void()> written)
        : files_(files), written_(std::move(written)) {}
    ~Writer() { stop(); }

    void start();
    void stop();  // finishes what is submitted, unless the disk is full

    // Only while not busy(); the batch must stay as it is until its outcome is taken.
    void submit(const Batch* batch);
    bool busy() const { return busy_; }
    std::optional<Result<>> take_outcome();
    void wait();  // until the submitted batch is done, or stalled
    // What is submitted, on this thread, where start() was not called; may leave it stalled.
    void write_here();

    bool stalled() const { return stalled_.load(std::memory_order_relaxed); }  // no space; it tries again
    // Of the file now written; only while not busy().
    bool prepared() const { return prepared_; }  // it has its blocks
    std::uint64_t file_bytes() const { return file_bytes_; }

  private:
    void run();
    Result<> write(const Batch& batch);  // trying again after Error::unavailable is safe
    Result<> write_retrying(const Batch& batch);
    Result<> switch_to(const SegmentName& segment);

    SegmentFiles& files_;
    std::function<void()> written_;
    std::unique_ptr<File> file_;
    std::uint32_t segment_ = 0;  // whose file_ is; 0 = none yet
    bool prepared_ = true;
    std::uint64_t file_bytes_ = 0;
    bool busy_ = false;  // the submitting thread's own
    std::atomic<bool> stalled_ = false;

    std::mutex mutex_;
    std::condition_variable changed_;
    const Batch* batch_ = nullptr;
    std::optional<Result<>> outcome_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace havn::broker
