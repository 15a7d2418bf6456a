#include "supervisor/logs/log_descriptors.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "io/file.h"

namespace havn::supervisor {

namespace {

constexpr int pipe_bytes = 1 << 20;

// The pipe anew, as another open file of its own mode (pipe(7), proc(5)).
Result<io::Fd> reopen(int pipe, int flags) {
    return io::open_file("/proc/self/fd/" + std::to_string(pipe), flags);
}

}  // namespace

Result<io::Fd> make_log_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
    const io::Fd read(ends[0]), write(ends[1]);
    Result<io::Fd> pipe = reopen(read.get(), O_RDWR | O_NONBLOCK);
    // Refused past the user's quota: 64 KiB must do.
    if (pipe) ::fcntl(pipe->get(), F_SETPIPE_SZ, pipe_bytes);
    return pipe;
}

Result<io::Fd> open_write_end(int pipe) {
    Result<io::Fd> end = reopen(pipe, O_WRONLY);
    // Whatever is opened here starts without blocking.
    if (end && ::fcntl(end->get(), F_SETFL, 0) != 0) return fail_errno("let a log pipe block");
    return end;
}

}  // namespace havn::supervisor
