// What a disk that hangs holds up, and what it does not. No clock decides: a sink hangs until the test
// lets it go, and whatever the test reaches before that was not held up.
#include "supervisor/logs/log_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fcntl.h>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>

#include "base/log_line.h"
#include "supervisor/logs/log_descriptors.h"

namespace havn::supervisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Files by path; writes to one of them may be made to hang.
class Disk {
  public:
    OpenLogSink opener() {
        return [this](const std::string& path, io::RotatingFile::Limits) {
            return std::make_unique<Sink>(*this, path);
        };
    }
    void hang(const std::string& path) {
        const std::scoped_lock lock(mutex_);
        hanging_ = path;
    }
    void wait_until_it_hangs() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return hangs_; });
    }
    void let_go() {
        const std::scoped_lock lock(mutex_);
        hanging_.clear();
        changed_.notify_all();
    }
    bool hangs() {
        const std::scoped_lock lock(mutex_);
        return hangs_;
    }
    std::string text(const std::string& path) {
        const std::scoped_lock lock(mutex_);
        return files_[path];
    }
    // "stdout one", "havn started", …
    std::vector<std::string> entries(const std::string& path) {
        std::vector<LogEntry> entries;
        LogAssembler assembler;
        std::string all = text(path);
        for (std::size_t end; (end = all.find('\n')) != std::string::npos; all.erase(0, end + 1)) {
            assembler.add(all.substr(0, end), entries);
        }
        std::vector<std::string> lines;
        for (const LogEntry& entry : entries) lines.push_back(entry.stream + " " + entry.text);
        return lines;
    }

  private:
    struct Sink final : LogSink {
        Sink(Disk& disk, std::string path) : disk(disk), path(std::move(path)) {}
        Result<> write(std::string_view data) override {
            std::unique_lock lock(disk.mutex_);
            if (disk.hanging_ == path) {
                disk.hangs_ = true;
                disk.changed_.notify_all();
                disk.changed_.wait(lock, [this] { return disk.hanging_.empty(); });
                disk.hangs_ = false;
            }
            disk.files_[path] += data;
            return {};
        }
        Disk& disk;
        std::string path;
    };

    std::mutex mutex_;
    std::condition_variable changed_;
    std::string hanging_;
    bool hangs_ = false;
    std::map<std::string, std::string> files_;
};

struct LogWriterTest : testing::Test {
    struct Printer {
        io::Fd pipe = make_log_pipe().value();
        io::Fd end = open_write_end(pipe.get()).value();
        std::shared_ptr<LogMarks> marks = std::make_shared<LogMarks>(std::vector<int>{pipe.get()});
        void print(std::string_view text) {
            ASSERT_EQ(::write(end.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
        }
    };

    Disk disk;
    io::Loop loop;
    Printer web, job;
    LogWriter writer{loop, false, disk.opener()};

    void open(const std::string& key, const Printer& printer) {
        writer.open(key, {key, key + ".log", {}, {{printer.pipe.get(), "stdout"}}}, printer.marks);
    }
    // Until what was asked of the writer is done.
    void finish() {
        writer.finish([this] { loop.stop(); });
        const auto stays = io::asio::make_work_guard(loop.context());
        loop.run();
    }
};

TEST_F(LogWriterTest, a_disk_that_hangs_holds_nobody_who_asks) {
    open("web", web);
    disk.hang("web.log");
    web.print("one\n");
    disk.wait_until_it_hangs();
    // All that belongs to a restart, of this instance and of another.
    web.marks->note("ended: exit 1");
    writer.marks_changed("web");
    const LogMarks::Ticket start = web.marks->note(std::nullopt);
    web.print("two\n");
    web.marks->set_text(start, "started, pid 7");
    writer.marks_changed("web");
    open("job", job);
    job.print("other\n");
    writer.append(LogWriter::Journal::supervisor, "a line\n");
    writer.close("job", [] {});
    EXPECT_TRUE(disk.hangs()) << "all this while the disk hung";
    EXPECT_EQ(disk.text("logs/supervisor.log"), "");
    disk.let_go();
    finish();
    EXPECT_THAT(disk.entries("web.log"),
                ElementsAre("stdout one", "havn ended: exit 1", "havn started, pid 7", "stdout two"));
    EXPECT_THAT(disk.entries("job.log"), ElementsAre("stdout other"));
    EXPECT_EQ(disk.text("logs/supervisor.log"), "a line\n");
}

TEST_F(LogWriterTest, who_prints_while_the_disk_hangs_waits_and_nothing_grows) {
    open("web", web);
    disk.hang("web.log");
    web.print("first\n");
    disk.wait_until_it_hangs();
    ASSERT_EQ(::fcntl(web.end.get(), F_SETFL, O_NONBLOCK), 0);
    const std::string line(4'095, 'x');
    std::size_t printed = 0;
    while (::write(web.end.get(), (line + "\n").data(), 4'096) == 4'096) ++printed;
    EXPECT_EQ(errno, EAGAIN) << "its pipe is full: nobody reads on";
    EXPECT_LE(printed, 256u);
    disk.let_go();
    finish();
    EXPECT_EQ(disk.entries("web.log").size(), printed + 1) << "and nothing is lost";
}

TEST_F(LogWriterTest, lines_of_the_supervisor_beyond_the_bound_are_dropped_and_counted) {
    disk.hang("logs/supervisor.log");
    writer.append(LogWriter::Journal::supervisor, "first\n");
    disk.wait_until_it_hangs();
    const std::string line(1u << 20, 'x');
    for (int i = 0; i < 6; ++i) writer.append(LogWriter::Journal::events, line + "\n");
    disk.let_go();
    finish();
    EXPECT_LE(disk.text("logs/events.log").size(), LogWriter::queue_bytes_max);
    EXPECT_GE(disk.text("logs/events.log").size(), 3u << 20);
    EXPECT_THAT(disk.text("logs/supervisor.log"), HasSubstr("3 lines were dropped"));
}

TEST_F(LogWriterTest, a_log_that_is_opened_anew_goes_on_where_it_was) {
    open("web", web);
    web.print("one\n");
    web.marks->note("between");
    open("web", web);  // with other limits, say
    web.print("two\n");
    finish();
    EXPECT_THAT(disk.entries("web.log"), ElementsAre("stdout one", "havn between", "stdout two"));
}

TEST_F(LogWriterTest, what_is_in_the_pipes_is_written_before_it_ends) {
    open("web", web);
    open("job", job);
    std::string many;
    for (int i = 0; i < 1'000; ++i) many += std::to_string(i) + "\n";
    web.print(many);
    job.print("one\n");
    finish();
    EXPECT_EQ(disk.entries("web.log").size(), 1'000u);
    EXPECT_EQ(disk.entries("web.log").back(), "stdout 999");
    EXPECT_THAT(disk.entries("job.log"), ElementsAre("stdout one"));
}

}  // namespace
}  // namespace havn::supervisor
