#include "supervisor/logs/instance_log.h"

#include <algorithm>
#include <utility>

#include "base/log_line.h"
#include "base/wall_time.h"
#include "io/clock.h"

namespace havn::supervisor {

namespace {

constexpr std::size_t shown_line_max = 8'192;  // a longer one is shown in pieces
constexpr int rounds_at_end = 256;             // more than full pipes and all marks take

}  // namespace

InstanceLog::InstanceLog(io::Executor executor, InstanceLogOptions options, std::shared_ptr<LogMarks> marks,
                         std::unique_ptr<LogSink> sink, LogBuffers& buffers, Foreground* foreground)
    : label_(std::move(options.label)),
      marks_(std::move(marks)),
      sink_(std::move(sink)),
      buffers_(buffers),
      foreground_(foreground),
      mark_passed_(executor, Time::max()),
      piece_max_(std::clamp<std::uint64_t>(options.limits.bytes, 1, buffers.piece.size())) {
    for (const LogInput& input : options.inputs) {
        inputs_.push_back(std::make_unique<Input>(io::Descriptor(executor, input.pipe), input.stream, ""));
    }
}

void InstanceLog::start() {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
        io::asio::co_spawn(mark_passed_.get_executor(), run(shared_from_this(), i), io::asio::detached);
    }
}

io::Task<void> InstanceLog::run(std::shared_ptr<InstanceLog> self, std::size_t which) {
    Input& input = *self->inputs_[which];
    while (!self->closed_) {
        auto [error] = co_await input.pipe.async_wait(io::Descriptor::wait_read, io::result);
        if (error || self->closed_) co_return;
        const Found found = self->read_once(which);
        self->pass_marks();
        // Data that belongs behind a mark is left in the pipe until the mark is written.
        if (found == Found::mark) {
            [[maybe_unused]] auto woken = co_await self->mark_passed_.async_wait(io::result);
        }
    }
}

InstanceLog::Found InstanceLog::read_once(std::size_t which) {
    const std::ptrdiff_t size = marks_->read(which, buffers_.piece.data(), buffers_.piece.size());
    if (size <= 0) return size < 0 ? Found::mark : Found::nothing;
    const std::string_view data(buffers_.piece.data(), static_cast<std::size_t>(size));
    Input& input = *inputs_[which];
    if (input.stream.empty()) {
        keep(data);
    } else {
        buffers_.stamped.clear();
        append_log_lines(buffers_.stamped, to_rfc3339(io::wall_now()), input.stream, data);
        keep(buffers_.stamped);
    }
    if (foreground_) show(input, data);
    return Found::data;
}

// True when a mark was passed.
bool InstanceLog::pass_marks() {
    bool passed = false;
    while (const std::optional<std::string> text = marks_->take_reached()) {
        passed = true;
        if (text->empty()) continue;
        std::string line;
        append_log_lines(line, to_rfc3339(io::wall_now()), supervisor_stream, *text + "\n");
        keep(line);
    }
    if (passed) mark_passed_.cancel();
    return passed;
}

void InstanceLog::marks_changed() {
    if (!closed_) pass_marks();
}

void InstanceLog::close() {
    for (int round = 0; round < rounds_at_end; ++round) {
        bool found = false;
        for (std::size_t i = 0; i < inputs_.size(); ++i) found |= read_once(i) == Found::data;
        found |= pass_marks();
        if (!found) break;
    }
    closed_ = true;
    for (const auto& input : inputs_) {
        if (foreground_ && !input->line.empty()) foreground_->line(label_, input->line);
        input->pipe.release();  // the number stays its owner's
    }
    mark_passed_.cancel();
    foreground_ = nullptr;
}

void InstanceLog::keep(std::string_view data) {
    if (Result<> written = write(data); !written && !std::exchange(sink_failed_, true) && foreground_) {
        foreground_->line(label_, "its log is not written: " + written.error().message);
    }
}

// In pieces that end with a line where they can, so that the file keeps its size and no line is cut in two.
Result<> InstanceLog::write(std::string_view data) {
    while (!data.empty()) {
        const std::size_t first = data.find('\n');
        std::size_t end = mid_line_ ? first : data.substr(0, piece_max_).rfind('\n');
        if (end == std::string_view::npos) end = first;
        const std::string_view piece = data.substr(0, end == std::string_view::npos ? data.size() : end + 1);
        if (Result<> written = sink_->write(piece); !written) return written;
        mid_line_ = piece.back() != '\n';
        data.remove_prefix(piece.size());
    }
    return {};
}

void InstanceLog::show(Input& input, std::string_view data) {
    while (!data.empty()) {
        const std::size_t end = data.find('\n');
        input.line.append(data.substr(0, end));
        if (end == std::string_view::npos && input.line.size() < shown_line_max) return;
        foreground_->line(label_, input.line);
        input.line.clear();
        data.remove_prefix(end == std::string_view::npos ? data.size() : end + 1);
    }
}

}  // namespace havn::supervisor
