#include "gateway/shell/log_writer.h"

#include "base/log.h"

namespace havn::gateway {

LogWriter::LogWriter(std::string path, io::RotatingFile::Limits limits)
    : file_(std::move(path), limits), thread_([this] { run(); }) {}

LogWriter::~LogWriter() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

bool LogWriter::submit(std::string lines) {
    {
        const std::lock_guard lock(mutex_);
        if (backlog_ + lines.size() > backlog_max) return false;
        backlog_ += lines.size();
        waiting_.push_back(std::move(lines));
    }
    changed_.notify_one();
    return true;
}

void LogWriter::run() {
    bool failing = false;
    const auto write = [&](std::string_view text) {
        const Result<> written = file_.write(text);
        if (!written && !failing) log::error("access log: {}", written.error().text());
        failing = !written;
    };
    write({});  // whoever looks for the log before the first request finds it
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        const std::vector<std::string> lines = std::exchange(waiting_, {});
        backlog_ = 0;
        lock.unlock();
        for (const std::string& text : lines) write(text);
        lock.lock();
    }
}

}  // namespace havn::gateway
