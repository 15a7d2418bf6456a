// Many deadlines, cheap to set and clear: a hierarchical timing wheel of milliseconds.
//
// A deadline fires in the first advance() at or after its time, at most one millisecond late by the wheel's
// own rounding, never early. Setting, moving and clearing are O(1) and allocate nothing: the entry is part of
// whatever waits. Spans up to about four hours are exact, longer ones are re-filed on the way.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "base/time.h"

namespace havn::gateway {

class Deadlines {
  public:
    class Entry {
      public:
        Entry() = default;
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        bool is_set() const { return next_ != nullptr; }

      private:
        friend class Deadlines;
        Entry* next_ = nullptr;
        Entry* previous_ = nullptr;
        std::uint64_t tick_ = 0;
        std::uint16_t slot_ = 0;
    };

    explicit Deadlines(Time start) : start_(start) {
        for (Entry& slot : slots_) slot.next_ = slot.previous_ = &slot;
    }

    void set(Entry& entry, Time deadline);
    void clear(Entry& entry);  // no-op when not set

    // Calls `fire(Entry&)` for each that is due; it is no longer set then, and may be set anew.
    template <class Function>
    void advance(Time now, Function fire) {
        const std::uint64_t target = ticks_passed(now);
        while (current_ < target) {
            step_towards(target);
            Entry& slot = slots_[current_ % width];
            while (slot.next_ != &slot) {
                Entry& entry = *slot.next_;
                clear(entry);
                fire(entry);
            }
        }
    }

    // How long until advance() may have something to do, rounded up to a millisecond; max() when never.
    static constexpr milliseconds never = milliseconds(std::numeric_limits<int>::max());
    milliseconds wait(Time now) const;

  private:
    static constexpr std::uint64_t width = 256;
    static constexpr unsigned bits = 8, levels = 3;

    std::uint64_t ticks_passed(Time now) const;
    void step_towards(std::uint64_t target);
    void file(Entry& entry);
    void refile(unsigned slot);
    bool occupied(unsigned slot) const { return (occupied_[slot / 64] >> (slot % 64) & 1) != 0; }
    unsigned next_occupied(unsigned from) const;  // of level 0, in [from, width]; width when none

    Time start_;
    std::uint64_t current_ = 0;  // the tick reached
    std::size_t count_ = 0;
    std::array<Entry, width * levels> slots_;
    std::array<std::uint64_t, width * levels / 64> occupied_{};
};

// Something that waits for a deadline of its thread. Whoever owns the Deadlines calls on_deadline().
class Timer : public Deadlines::Entry {
  public:
    virtual void on_deadline() = 0;

  protected:
    ~Timer() = default;
};

}  // namespace havn::gateway
