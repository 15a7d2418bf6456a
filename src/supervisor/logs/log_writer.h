// The thread that reads what instances print and writes all logs, so that a disk that hangs, or an instance
// that prints without end, delays nobody's restart.
//
// Its owner, on the supervisor's loop, never waits for it: every call here puts something in a queue and
// returns. What instances print stays in their pipes until it is written: no memory is taken for it, and who
// prints into a full pipe waits. The supervisor's own lines (its log, the events, what a watching person is
// shown) wait in a queue of `queue_bytes_max` at most; beyond it they are dropped, counted, and the count is
// written when the disk is back.
//
// `finish` takes what is there in all pipes and queues and ends the thread; its owner decides how long it
// waits for that. A writer that is destroyed without having finished leaves its thread to the end of the
// process.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "io/loop.h"
#include "supervisor/logs/instance_log.h"

namespace havn::supervisor {

class LogWriter {
  public:
    static constexpr std::size_t queue_bytes_max = 4u << 20;

    enum class Journal { supervisor, events };  // logs/supervisor.log, logs/events.log

    // `foreground`: also shows lines on standard output. `owner`: the loop that answers are posted to; it
    // outlives the writer.
    LogWriter(io::Loop& owner, bool foreground, OpenLogSink open = open_log_file);
    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;
    ~LogWriter();

    // The log of that key from now on; one that is open under it is closed before. `marks` is shared with
    // whoever notes them.
    void open(const std::string& key, InstanceLogOptions options, std::shared_ptr<LogMarks> marks);
    void marks_changed(const std::string& key);
    // `closed` is called on the owner's loop once the pipes are let go.
    void close(const std::string& key, std::function<void()> closed);

    void append(Journal journal, std::string lines);
    void show(std::string label, std::string line);

    // `finished` is called on the owner's loop.
    void finish(std::function<void()> finished);

  private:
    struct State;
    void post(std::function<void(State&)> work);

    io::Loop& owner_;
    std::shared_ptr<State> state_;  // shared with the thread
    std::thread thread_;
};

}  // namespace havn::supervisor
