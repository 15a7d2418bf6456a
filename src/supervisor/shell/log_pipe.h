// What one instance prints, from its pipes into its log file and, line by line, to whoever watches.
//
// The pipes outlive the instance's processes: they belong to a name and an instance and are also kept by the
// keeper, so a process that writes while there is no supervisor neither fails nor loses anything (until the
// kernel's 1 MiB is full, when it waits). One descriptor holds both ends of a pipe: it reads, and as a writer
// it keeps the pipe from ending between two lives. A program has a pipe for each stream and its lines are
// stamped with time and stream (base/log_line.h); a part of the platform has one and stamps its lines itself.
// Bytes go to the file as they come, at most 64 KiB per turn of the loop, so that a chatty instance delays
// the others' restarts and probes by one write; only the display waits for whole lines.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/asio.h"
#include "io/fd.h"
#include "io/rotating_file.h"
#include "supervisor/shell/foreground.h"

namespace havn::supervisor {

// Reads without blocking and holds the pipe open for writing.
Result<io::Fd> make_log_pipe();
// Another end of the same pipe, for a program: its writes block while the pipe is full, as it may rely on.
Result<io::Fd> open_write_end(int pipe);

class LogPipe {
  public:
    struct Input {
        int pipe = -1;       // stays its owner's, who keeps it open for as long as the LogPipe lives
        std::string stream;  // "stdout", "stderr"; empty: the lines are written as they are
    };
    LogPipe(io::Executor executor, std::string label, const std::string& path,
            io::RotatingFile::Limits limits, const std::vector<Input>& inputs, Foreground* foreground);
    LogPipe(LogPipe&&) = default;
    ~LogPipe();  // reads what is there

    // Writes what the supervisor says of the instance: that a life began, ahead of all that is still to be
    // read; or anything else, behind all that was printed before.
    void mark_start(std::string_view text);
    void mark(std::string_view text);

  private:
    struct State;
    std::shared_ptr<State> state_;  // shared with the coroutines that read
};

}  // namespace havn::supervisor
