#include "gateway/core/turn/deadlines.h"

#include <algorithm>
#include <bit>

namespace havn::gateway {

std::uint64_t Deadlines::ticks_passed(Time now) const {
    if (now <= start_) return 0;
    return static_cast<std::uint64_t>(std::chrono::floor<milliseconds>(now - start_).count());
}

void Deadlines::set(Entry& entry, Time deadline) {
    clear(entry);
    const auto due =
        deadline <= start_ ? milliseconds(0) : std::chrono::ceil<milliseconds>(deadline - start_);
    entry.tick_ = std::max(static_cast<std::uint64_t>(due.count()), current_ + 1);
    file(entry);
    ++count_;
}

void Deadlines::clear(Entry& entry) {
    if (!entry.is_set()) return;
    entry.next_->previous_ = entry.previous_;
    entry.previous_->next_ = entry.next_;
    const unsigned slot = entry.slot_;
    if (slots_[slot].next_ == &slots_[slot]) occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    entry.next_ = entry.previous_ = nullptr;
    --count_;
}

// The level is the highest in which the entry's tick and the current one differ.
void Deadlines::file(Entry& entry) {
    unsigned level = 0;
    while (level + 1 < levels &&
           (entry.tick_ >> (bits * (level + 1))) != (current_ >> (bits * (level + 1)))) {
        ++level;
    }
    std::uint64_t index = entry.tick_ >> (bits * level);
    const std::uint64_t here = current_ >> (bits * level);
    if (index - here >= width) index = here + width - 1;
    const unsigned slot = static_cast<unsigned>(level * width + index % width);
    Entry& head = slots_[slot];
    entry.slot_ = static_cast<std::uint16_t>(slot);
    entry.next_ = &head;
    entry.previous_ = head.previous_;
    head.previous_->next_ = &entry;
    head.previous_ = &entry;
    occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

// Spreads what a coarser slot held over the finer ones, now that its time has come near.
void Deadlines::refile(unsigned slot) {
    Entry& head = slots_[slot];
    if (head.next_ == &head) return;
    Entry* entry = head.next_;
    head.previous_->next_ = nullptr;
    head.next_ = head.previous_ = &head;
    occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    while (entry) {
        Entry* const next = entry->next_;
        file(*entry);
        entry = next;
    }
}

unsigned Deadlines::next_occupied(unsigned from) const {
    for (unsigned word = from / 64; word < width / 64; ++word) {
        std::uint64_t set = occupied_[word];
        if (word == from / 64) set &= ~std::uint64_t{0} << (from % 64);
        if (set != 0) return word * 64 + static_cast<unsigned>(std::countr_zero(set));
    }
    return width;
}

// To the next tick that has entries, or to the end of this turn of the finest wheel, or to the target.
void Deadlines::step_towards(std::uint64_t target) {
    if (count_ == 0) {
        current_ = target;
        return;
    }
    const auto within = static_cast<unsigned>(current_ % width);
    const unsigned next = within + 1 < width ? next_occupied(within + 1) : width;
    current_ = std::min(target, current_ - within + next);
    if (current_ % width != 0) return;
    const std::uint64_t second = current_ >> bits;
    if (second % width == 0) refile(static_cast<unsigned>(2 * width + (second >> bits) % width));
    refile(static_cast<unsigned>(width + second % width));
}

milliseconds Deadlines::wait(Time now) const {
    if (count_ == 0) return never;
    const auto within = static_cast<unsigned>(current_ % width);
    const unsigned next = within + 1 < width ? next_occupied(within + 1) : width;
    const Time due = start_ + milliseconds(current_ - within + next);
    return due <= now ? milliseconds(0) : std::chrono::ceil<milliseconds>(due - now);
}

}  // namespace havn::gateway
