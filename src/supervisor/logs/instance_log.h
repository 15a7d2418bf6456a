// One instance's log on the writer's thread: from its pipes into its file and, line by line, to whoever
// watches.
//
// A program has a pipe for each stream and its lines are stamped with time and stream (base/log_line.h); a
// part of the platform has one and stamps its lines itself. Bytes go to the file as they come, at most 64 KiB
// per turn of the loop, so that a chatty instance delays the others by one write; only the display waits for
// whole lines. Nothing is held here but the piece that is being written: what is not read waits in the pipe,
// and who writes into a full pipe waits.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/asio.h"
#include "supervisor/logs/foreground.h"
#include "supervisor/logs/log_marks.h"
#include "supervisor/logs/log_sink.h"

namespace havn::supervisor {

// Of the thread, shared by all logs: what is being read and stamped.
struct LogBuffers {
    std::array<char, 65'536> piece;
    std::string stamped;
};

struct LogInput {
    int pipe = -1;       // stays its owner's, who keeps it open until the log is closed
    std::string stream;  // "stdout", "stderr"; empty: the lines are written as they are
};

struct InstanceLogOptions {
    std::string label;
    std::string path;
    io::RotatingFile::Limits limits;
    std::vector<LogInput> inputs;
};

class InstanceLog : public std::enable_shared_from_this<InstanceLog> {
  public:
    // `buffers` and `foreground` (null: nobody watches) are the writer's and outlive the log.
    InstanceLog(io::Executor executor, InstanceLogOptions options, std::shared_ptr<LogMarks> marks,
                std::unique_ptr<LogSink> sink, LogBuffers& buffers, Foreground* foreground);

    void start();  // reads from now on, as data comes
    void marks_changed();
    void close();  // takes what is there, up to a mark that has no text yet, and lets go of the pipes

  private:
    struct Input {
        io::Descriptor pipe;
        std::string stream;
        std::string line;  // for the display, until its end comes
    };

    enum class Found { data, nothing, mark };
    Found read_once(std::size_t which);
    bool pass_marks();
    void keep(std::string_view data);
    Result<> write(std::string_view data);
    void show(Input& input, std::string_view data);
    static io::Task<void> run(std::shared_ptr<InstanceLog> self, std::size_t which);

    std::string label_;
    std::shared_ptr<LogMarks> marks_;
    std::unique_ptr<LogSink> sink_;
    LogBuffers& buffers_;
    Foreground* foreground_;
    std::vector<std::unique_ptr<Input>> inputs_;
    io::Timer mark_passed_;  // never expires; cancelled when readers may go on
    std::size_t piece_max_;  // no more than the file may hold
    bool mid_line_ = false;
    bool sink_failed_ = false;
    bool closed_ = false;
};

}  // namespace havn::supervisor
