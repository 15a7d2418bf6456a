#include "supervisor/logs/log_marks.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace havn::supervisor {

LogMarks::Ticket LogMarks::note(std::optional<std::string> text) {
    const std::scoped_lock lock(mutex_);
    if (marks_.size() >= pending_max) return 0;
    Mark mark{++last_ticket_, read_, std::move(text)};
    for (std::size_t i = 0; i < pipes_.size(); ++i) {
        int waiting = 0;
        if (::ioctl(pipes_[i], FIONREAD, &waiting) == 0 && waiting > 0) {
            mark.places[i] += static_cast<std::uint64_t>(waiting);
        }
    }
    marks_.push_back(std::move(mark));
    return last_ticket_;
}

void LogMarks::set_text(Ticket ticket, std::string text) {
    const std::scoped_lock lock(mutex_);
    const auto found = std::ranges::find(marks_, ticket, &Mark::ticket);
    if (found != marks_.end()) found->text = std::move(text);
}

void LogMarks::settle_all() {
    const std::scoped_lock lock(mutex_);
    for (Mark& mark : marks_) {
        if (!mark.text) mark.text = "";
    }
}

std::ptrdiff_t LogMarks::read(std::size_t which, char* buffer, std::size_t size) {
    const std::scoped_lock lock(mutex_);
    if (!marks_.empty()) {
        const std::uint64_t left = marks_.front().places[which] - read_[which];
        if (left == 0) return -1;
        size = static_cast<std::size_t>(std::min<std::uint64_t>(size, left));
    }
    for (;;) {
        const ssize_t count = ::read(pipes_[which], buffer, size);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return 0;
        read_[which] += static_cast<std::uint64_t>(count);
        return count;
    }
}

std::optional<std::string> LogMarks::take_reached() {
    const std::scoped_lock lock(mutex_);
    if (marks_.empty() || marks_.front().places != read_ || !marks_.front().text) return std::nullopt;
    std::string text = std::move(*marks_.front().text);
    marks_.pop_front();
    return text;
}

}  // namespace havn::supervisor
