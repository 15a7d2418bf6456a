// Which of a channel's publishes wait for the broker's word, and what their publisher calls them.
//
// Sequence numbers are the broker's delivery tags: 1 for the first publish after confirm.select, then one
// more each. With a number goes the publisher's own 64 bits, its context (a pointer, a time). take() gives it
// back once; a number that the broker makes up or repeats gives nothing.
//
// A ring of slots: push() and take() cost O(1) and allocate only when the span from the oldest waiting number
// to the newest grows past every earlier one. That span is what a channel bounds: span().
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace havn::amqp::client {

class Confirms {
  public:
    using Context = std::uint64_t;

    std::uint64_t push(Context context) {
        if (span() == slots_.size()) grow();
        slots_[end_ & mask()] = {context, true};
        ++count_;
        return end_++;
    }

    std::optional<Context> take(std::uint64_t number) {
        if (number < first_ || number >= end_) return std::nullopt;
        Slot& slot = slots_[number & mask()];
        if (!std::exchange(slot.waiting, false)) return std::nullopt;
        --count_;
        while (first_ < end_ && !slots_[first_ & mask()].waiting) ++first_;
        return slot.context;
    }

    std::uint64_t first() const { return first_; }        // the oldest that waits; end() when none does
    std::uint64_t end() const { return end_; }            // the next one given
    std::uint64_t span() const { return end_ - first_; }  // slots in use
    std::uint64_t count() const { return count_; }        // those that wait

    void restart() {
        slots_.clear();
        first_ = end_ = 1;
        count_ = 0;
    }

  private:
    struct Slot {
        Context context = 0;
        bool waiting = false;
    };
    std::uint64_t mask() const { return slots_.size() - 1; }
    void grow() {
        std::vector<Slot> larger(std::max<std::size_t>(64, slots_.size() * 2));
        for (std::uint64_t at = first_; at < end_; ++at) {
            larger[at & (larger.size() - 1)] = slots_[at & mask()];
        }
        slots_.swap(larger);
    }

    std::vector<Slot> slots_;  // a power of two; number n stands in slot n modulo their count
    std::uint64_t first_ = 1, end_ = 1, count_ = 0;
};

}  // namespace havn::amqp::client
