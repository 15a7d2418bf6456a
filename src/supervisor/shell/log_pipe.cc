#include "supervisor/shell/log_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/log_line.h"
#include "base/wall_time.h"
#include "io/clock.h"
#include "io/file.h"

namespace havn::supervisor {

static constexpr int pipe_bytes = 1 << 20;
static constexpr std::size_t shown_line_max = 8'192;  // a longer one is shown in pieces
static constexpr int reads_at_end = 64;               // more than a full pipe holds

// The pipe anew, as another open file of its own mode (pipe(7), proc(5)).
static Result<io::Fd> reopen(int pipe, int flags) {
    return io::open_file("/proc/self/fd/" + std::to_string(pipe), flags);
}

Result<io::Fd> make_log_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
    const io::Fd read(ends[0]), write(ends[1]);
    Result<io::Fd> pipe = reopen(read.get(), O_RDWR | O_NONBLOCK);
    if (pipe)
        ::fcntl(pipe->get(), F_SETPIPE_SZ, pipe_bytes);  // refused past the user's quota: 64 KiB must do
    return pipe;
}

Result<io::Fd> open_write_end(int pipe) {
    Result<io::Fd> end = reopen(pipe, O_WRONLY);
    if (end && ::fcntl(end->get(), F_SETFL, 0) != 0)  // whatever is opened here starts without blocking
        return fail_errno("let a log pipe block");
    return end;
}

struct LogPipe::State {
    struct Input {
        io::Descriptor pipe;
        std::string stream;
        std::string line;  // for the display, until its end comes
    };

    State(io::Executor executor, std::string label, const std::string& path, io::RotatingFile::Limits limits,
          const std::vector<LogPipe::Input>& from, Foreground* foreground)
        : label(std::move(label)),
          file(path, limits),
          foreground(foreground),
          piece_max(std::clamp<std::uint64_t>(limits.bytes, 1, 65'536)) {
        for (const LogPipe::Input& input : from) {
            inputs.push_back(std::make_unique<Input>(io::Descriptor(executor, input.pipe), input.stream, ""));
        }
    }

    // False when there is nothing to read now.
    bool read_once(Input& input) {
        static std::array<char, 65'536> buffer;  // one event loop, one reader at a time
        const ssize_t size = ::read(input.pipe.native_handle(), buffer.data(), buffer.size());
        if (size <= 0) return size < 0 && errno == EINTR;
        const std::string_view data(buffer.data(), static_cast<std::size_t>(size));
        if (input.stream.empty()) {
            keep(data);
        } else {
            stamped.clear();
            append_log_lines(stamped, to_rfc3339(io::wall_now()), input.stream, data);
            keep(stamped);
        }
        if (foreground) show(input, data);
        return true;
    }

    void read_all() {
        for (const auto& input : inputs) {
            for (int i = 0; i < reads_at_end && read_once(*input); ++i) {
            }
        }
    }

    void keep(std::string_view data) {
        if (Result<> written = write(data); !written && !std::exchange(file_failed, true) && foreground) {
            foreground->line(label, "its log is not written: " + written.error().message);
        }
    }

    // In pieces that end with a line where they can, so that the file keeps its size and no line is cut in
    // two.
    Result<> write(std::string_view data) {
        while (!data.empty()) {
            const std::size_t first = data.find('\n');
            std::size_t end = mid_line ? first : data.substr(0, piece_max).rfind('\n');
            if (end == std::string_view::npos) end = first;
            const std::string_view piece =
                data.substr(0, end == std::string_view::npos ? data.size() : end + 1);
            if (Result<> written = file.write(piece); !written) return written;
            mid_line = piece.back() != '\n';
            data.remove_prefix(piece.size());
        }
        return {};
    }

    void show(Input& input, std::string_view data) {
        while (!data.empty()) {
            const std::size_t end = data.find('\n');
            input.line.append(data.substr(0, end));
            if (end == std::string_view::npos && input.line.size() < shown_line_max) return;
            foreground->line(label, input.line);
            input.line.clear();
            data.remove_prefix(end == std::string_view::npos ? data.size() : end + 1);
        }
    }

    static io::Task<void> run(std::shared_ptr<State> self, std::size_t which) {
        Input& input = *self->inputs[which];
        while (input.pipe.is_open()) {
            auto [error] = co_await input.pipe.async_wait(io::Descriptor::wait_read, io::result);
            if (error) break;
            self->read_once(input);
        }
    }

    std::string label;
    io::RotatingFile file;
    std::vector<std::unique_ptr<Input>> inputs;
    Foreground* foreground;
    std::string stamped;    // of the present piece
    std::size_t piece_max;  // no more than the file may hold
    bool mid_line = false;
    bool file_failed = false;
};

LogPipe::LogPipe(io::Executor executor, std::string label, const std::string& path,
                 io::RotatingFile::Limits limits, const std::vector<Input>& inputs, Foreground* foreground)
    : state_(std::make_shared<State>(executor, std::move(label), path, limits, inputs, foreground)) {
    for (std::size_t i = 0; i < inputs.size(); ++i)
        io::asio::co_spawn(executor, State::run(state_, i), io::asio::detached);
}

LogPipe::~LogPipe() {
    if (!state_) return;
    state_->read_all();
    for (const auto& input : state_->inputs) {
        if (state_->foreground && !input->line.empty()) state_->foreground->line(state_->label, input->line);
        input->pipe.release();  // the number stays its owner's
    }
    state_->foreground = nullptr;
}

void LogPipe::mark(std::string_view text) {
    state_->read_all();
    mark_start(text);
}

void LogPipe::mark_start(std::string_view text) {
    std::string line;
    append_log_lines(line, to_rfc3339(io::wall_now()), supervisor_stream, std::string(text) + "\n");
    state_->keep(line);
}

}  // namespace havn::supervisor
