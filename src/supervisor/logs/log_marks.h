// Where in the bytes of an instance's pipes the lives begin and end.
//
// What the supervisor says of an instance ("started, pid 7", "ended: exit 1") belongs between what its lives
// printed, but the supervisor neither reads the pipes nor waits for who does. So it notes, at the moment of
// the event, how many bytes each pipe has brought until then (those that were read and those that lie in it):
// the reader reads up to there, writes the mark, and goes on. A start is noted before the process exists;
// what it printed cannot come before its mark, for the reader waits for the mark's text.
//
// Safe from two threads, the supervisor's and the writer's. The lock is held over a read of a pipe, which
// does not wait, and never over a write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace havn::supervisor {

class LogMarks {
  public:
    static constexpr std::size_t pending_max = 64;  // further ones are left out

    // `pipes` stay their owner's.
    explicit LogMarks(std::vector<int> pipes) : pipes_(std::move(pipes)), read_(pipes_.size()) {}

    using Ticket = std::uint64_t;
    // Notes the present place. 0: too many are pending, and there will be no mark.
    Ticket note(std::optional<std::string> text);
    // What is to stand there; an empty text for nothing.
    void set_text(Ticket ticket, std::string text);
    void settle_all();  // those without a text will get none

    // Reads from pipe `which`, not beyond the next mark. 0: nothing is there. -1: the mark has to come first.
    std::ptrdiff_t read(std::size_t which, char* buffer, std::size_t size);
    // The next mark's text, once all that comes before it was read.
    std::optional<std::string> take_reached();

  private:
    struct Mark {
        Ticket ticket;
        std::vector<std::uint64_t> places;  // of each pipe
        std::optional<std::string> text;
    };

    std::mutex mutex_;
    const std::vector<int> pipes_;
    std::vector<std::uint64_t> read_;  // bytes, of each pipe
    std::deque<Mark> marks_;
    Ticket last_ticket_ = 0;
};

}  // namespace havn::supervisor
