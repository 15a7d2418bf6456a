// When what is written down: the order of writes by which a supervisor may die at any moment and the next one
// still finds every life (saved_state.h says what is written).
//
//  - A start is appended to the journal before anybody acts on it.
//  - Other changes are appended when their turn is over.
//  - A new base is written when a supervisor takes charge, when the journal has outgrown its base, and when a
//    write failed: first the base, whole or not at all, then the journal is emptied and begins with its
//    number.
//
// Pure: the disk is an interface, and every call may fail in part. A failure stops nothing: the platform runs
// on, and what the next supervisor finds is what could be written; before a first base there is nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "supervisor/core/state/state_writer.h"

namespace havn::supervisor {

class StateDisk {
  public:
    virtual Result<> replace_base(std::string_view text) = 0;  // whole or not at all
    virtual Result<> empty_journal() = 0;
    // On an error a part of it may stand there.
    virtual Result<> append_to_journal(std::string_view lines) = 0;

  protected:
    ~StateDisk() = default;
};

class StateLog {
  public:
    // `base`: the number of the base that was found, or 0. The disk outlives this object.
    StateLog(StateDisk& disk, std::string run, std::uint64_t base)
        : disk_(disk), writer_(std::move(run), base) {}

    Result<> write_base(const ProcessTable& table, const PlatformRows& platform);
    Result<> started(const Instance& instance);
    // What was touched since the last time, by the way that is cheaper.
    Result<> write(const ProcessTable& table, const Touched& touched, const PlatformRows& platform);

    const std::string& run() const { return writer_.run(); }
    std::uint64_t rows_encoded() const { return writer_.rows_encoded(); }

  private:
    Result<> append(const std::string& lines);

    StateDisk& disk_;
    StateWriter writer_;
    std::size_t base_bytes_ = 0;
    std::size_t journal_bytes_ = 0;
    bool base_due_ = true;
    bool tail_unknown_ = true;  // the journal may end within a line, or without its head
};

}  // namespace havn::supervisor
