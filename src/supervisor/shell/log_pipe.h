// What one instance prints, from its pipe into its log file and, line by line, to whoever watches.
//
// The pipe outlives the instance's processes: one pipe per name and instance, both ends also kept by the
// keeper, so a process that writes while there is no supervisor neither fails nor loses anything (until the
// kernel's 1 MiB is full, when it waits). Bytes go to the file as they come; only the display waits for whole
// lines.
#pragma once

#include <memory>
#include <string>

#include "io/asio.h"
#include "io/fd.h"
#include "io/rotating_file.h"
#include "supervisor/shell/foreground.h"

namespace havn::supervisor {

struct PipeEnds {
    io::Fd read;
    io::Fd write;
};
Result<PipeEnds> make_log_pipe();

class LogPipe {
  public:
    LogPipe(io::Executor executor, std::string label, const std::string& path,
            io::RotatingFile::Limits limits, PipeEnds ends, Foreground* foreground);
    LogPipe(LogPipe&&) = default;
    ~LogPipe();  // reads what is there, then closes both ends

    int write_end() const;

  private:
    struct State;
    std::shared_ptr<State> state_;  // shared with the coroutine that reads
};

}  // namespace havn::supervisor
