// Lines for a person who watches: "NAME.INSTANCE | line" on standard output.
//
// Never waits for the reader. While a terminal is stopped or a pipe is full, up to 1 MiB is kept; what comes
// on top is dropped and counted, and the count is shown when the reader is back.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "io/asio.h"
#include "io/fd.h"

namespace havn::supervisor {

class Foreground {
  public:
    static constexpr std::size_t kept_bytes_max = 1u << 20;

    // Writes to `fd` through a description of its own where the kernel allows: the flags of the given one are
    // shared with the user's shell and stay as they are.
    Foreground(io::Executor executor, int fd);

    void line(std::string_view label, std::string_view text);
    void flush();  // what can be written now

  private:
    struct State;
    std::shared_ptr<State> state_;  // shared with the coroutine that waits for the reader
};

}  // namespace havn::supervisor
