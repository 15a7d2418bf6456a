// What one instance prints, from its pipe into its log file and, line by line, to whoever watches.
//
// The pipe outlives the instance's processes: one pipe per name and instance, also kept by the keeper, so a
// process that writes while there is no supervisor neither fails nor loses anything (until the kernel's 1 MiB
// is full, when it waits). One descriptor holds both ends: it reads, and as a writer it keeps the pipe from
// ending between two lives. Bytes go to the file as they come, at most 64 KiB per turn of the loop, so that a
// chatty instance delays the others' restarts and probes by one write; only the display waits for whole
// lines.
#pragma once

#include <memory>
#include <string>

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
    // `pipe` stays its owner's, who keeps it open for as long as this object lives.
    LogPipe(io::Executor executor, std::string label, const std::string& path,
            io::RotatingFile::Limits limits, int pipe, Foreground* foreground);
    LogPipe(LogPipe&&) = default;
    ~LogPipe();  // reads what is there

  private:
    struct State;
    std::shared_ptr<State> state_;  // shared with the coroutine that reads
};

}  // namespace havn::supervisor
