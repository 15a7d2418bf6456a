// Writes the access log from a thread of its own, so that a slow disk delays no request.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gateway/core/turn/log_buffer.h"
#include "io/rotating_file.h"

namespace havn::gateway {

class LogWriter final : public LineSink {
  public:
    static constexpr std::size_t backlog_max = 16u << 20;  // bytes; past it lines are dropped

    LogWriter(std::string path, io::RotatingFile::Limits limits);
    ~LogWriter();  // writes what is left

    // Whole lines. Safe from any thread. False: dropped, the disk does not keep up.
    bool submit(std::string lines) override;

  private:
    void run();

    io::RotatingFile file_;  // of the thread
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> waiting_;
    std::size_t backlog_ = 0;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace havn::gateway
