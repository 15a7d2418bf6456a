#include "supervisor/logs/log_writer.h"

#include <fmt/format.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>

#include "base/wall_time.h"
#include "io/clock.h"

namespace havn::supervisor {

namespace {

constexpr io::RotatingFile::Limits journal_limits{.bytes = 10u << 20, .backups = 3};
constexpr int journals = 2;
constexpr const char* journal_paths[journals] = {"logs/supervisor.log", "logs/events.log"};

// Signals are the supervisor's.
void prepare_thread() {
    ::pthread_setname_np(::pthread_self(), "havn-logs");
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

}  // namespace

struct LogWriter::State {
    State(bool watched, OpenLogSink open_sink) : open(std::move(open_sink)) {
        if (watched) foreground = std::make_unique<Foreground>(loop.executor(), 1);
        for (int i = 0; i < journals; ++i) sinks[i] = open(journal_paths[i], journal_limits);
    }

    struct Line {
        int journal = -1;  // -1: to be shown
        std::string label;
        std::string text;
        std::size_t size() const { return label.size() + text.size(); }
    };

    // False when there is no room. On the owner's thread; the rest is the writer's.
    bool enqueue(Line line) {
        const std::scoped_lock lock(mutex);
        if (bytes + line.size() > queue_bytes_max) {
            ++dropped;
            return false;
        }
        bytes += line.size();
        lines.push_back(std::move(line));
        return lines.size() == 1;
    }

    void write_lines() {
        std::deque<Line> taken;
        std::size_t lost = 0;
        {
            const std::scoped_lock lock(mutex);
            taken = std::exchange(lines, {});
            lost = std::exchange(dropped, 0);
            bytes = 0;
        }
        // A full disk must not stop the supervisor; a watching person still sees the line.
        for (const Line& line : taken) {
            if (line.journal >= 0) std::ignore = sinks[line.journal]->write(line.text);
            if (line.journal < 0 && foreground) foreground->line(line.label, line.text);
        }
        if (lost == 0) return;
        std::ignore = sinks[0]->write(
            fmt::format("{} supervisor warning: {} lines were dropped: the disk did not take them in time\n",
                        to_rfc3339(io::wall_now()), lost));
    }

    void close_all() {
        for (const auto& [key, log] : logs) log->close();
        logs.clear();
        write_lines();
        if (foreground) foreground->flush();
    }

    io::Loop loop;
    OpenLogSink open;
    LogBuffers buffers;
    std::unique_ptr<Foreground> foreground;
    std::unique_ptr<LogSink> sinks[journals];
    std::map<std::string, std::shared_ptr<InstanceLog>> logs;

    std::atomic<bool> finished = false;  // all is written, and the thread about to end

    std::mutex mutex;  // of the queue
    std::deque<Line> lines;
    std::size_t bytes = 0;
    std::size_t dropped = 0;
};

LogWriter::LogWriter(io::Loop& owner, bool foreground, OpenLogSink open)
    : owner_(owner), state_(std::make_shared<State>(foreground, std::move(open))) {
    thread_ = std::thread([state = state_] {
        prepare_thread();
        const auto stays = io::asio::make_work_guard(state->loop.context());
        state->loop.run();
        state->logs.clear();
    });
}

LogWriter::~LogWriter() {
    if (state_->finished) {
        thread_.join();
    } else {
        thread_.detach();
    }
}

void LogWriter::post(std::function<void(State&)> work) {
    state_->loop.post([state = state_.get(), work = std::move(work)] { work(*state); });
}

void LogWriter::open(const std::string& key, InstanceLogOptions options, std::shared_ptr<LogMarks> marks) {
    post([key, options = std::move(options), marks = std::move(marks)](State& state) {
        if (const auto before = state.logs.extract(key); !before.empty()) before.mapped()->close();
        auto sink = state.open(options.path, options.limits);
        auto log = std::make_shared<InstanceLog>(state.loop.executor(), options, marks, std::move(sink),
                                                 state.buffers, state.foreground.get());
        state.logs[key] = log;
        log->start();
    });
}

void LogWriter::marks_changed(const std::string& key) {
    post([key](State& state) {
        if (const auto log = state.logs.find(key); log != state.logs.end()) log->second->marks_changed();
    });
}

void LogWriter::close(const std::string& key, std::function<void()> closed) {
    post([key, closed = std::move(closed), owner = &owner_](State& state) {
        if (const auto log = state.logs.extract(key); !log.empty()) log.mapped()->close();
        owner->post(closed);
    });
}

void LogWriter::append(Journal journal, std::string lines) {
    if (!state_->enqueue({static_cast<int>(journal), "", std::move(lines)})) return;
    post([](State& state) { state.write_lines(); });
}

void LogWriter::show(std::string label, std::string line) {
    if (!state_->enqueue({-1, std::move(label), std::move(line)})) return;
    post([](State& state) { state.write_lines(); });
}

void LogWriter::finish(std::function<void()> finished) {
    post([finished = std::move(finished), owner = &owner_](State& state) {
        state.close_all();
        state.finished = true;
        owner->post(finished);
        state.loop.stop();
    });
}

}  // namespace havn::supervisor
