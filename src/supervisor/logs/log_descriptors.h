// The pipes that instances print into.
//
// They outlive the instance's processes: they belong to a program and a number and are also kept by the
// keeper, so a process that writes while there is no supervisor neither fails nor loses anything (until the
// kernel's 1 MiB is full, when it waits). One descriptor holds both ends of a pipe: it reads, and as a writer
// it keeps the pipe from ending between two lives.
#pragma once

#include "base/error.h"
#include "io/fd.h"

namespace havn::supervisor {

// Reads without blocking and holds the pipe open for writing.
Result<io::Fd> make_log_pipe();
// Another end of the same pipe, for a program: its writes block while the pipe is full, as it may rely on.
Result<io::Fd> open_write_end(int pipe);

}  // namespace havn::supervisor
