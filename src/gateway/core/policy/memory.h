// The memory a process may hold for its peers: one limit over all of its threads.
//
// MemoryBudget is the account, safe from any thread. A thread takes from it through a MemoryShare of its own,
// which fetches and returns `step_bytes` at a time: threads meet in one atomic once per many requests, and
// never wait for each other. So a share keeps up to two steps that no other thread can take, and the use that
// is shown is that much higher at most. What does not fit is refused; nothing here waits, logs or fails.
//
// HeldBytes is what is taken for: bytes of one peer, in one piece. Both must outlive what was taken from
// them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

namespace havn::gateway {

class MemoryBudget {
  public:
    explicit MemoryBudget(std::uint64_t limit_bytes) : limit_(limit_bytes) {}

    // Takes all of `bytes` or nothing. `untouched` bytes of the limit stay free for others.
    [[nodiscard]] bool try_take(std::uint64_t bytes, std::uint64_t untouched = 0) {
        std::uint64_t used = used_.load(std::memory_order_relaxed);
        do {
            if (used + bytes + untouched > limit()) return false;
        } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
        return true;
    }
    void give_back(std::uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

    // A lower limit takes nothing away: it refuses until enough was given back.
    void set_limit(std::uint64_t bytes) { limit_.store(bytes, std::memory_order_relaxed); }
    std::uint64_t limit() const { return limit_.load(std::memory_order_relaxed); }
    std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> limit_, used_{0};
};

class MemoryShare {
  public:
    static constexpr std::uint64_t step_bytes = 65536;

    explicit MemoryShare(MemoryBudget& budget) : budget_(budget) {}
    MemoryShare(const MemoryShare&) = delete;
    MemoryShare& operator=(const MemoryShare&) = delete;
    ~MemoryShare() { budget_.give_back(spare_); }

    // An eighth of the limit is kept for what is small: a few large bodies must not stop every small one.
    [[nodiscard]] bool try_take(std::uint64_t bytes, bool large) {
        if (spare_ < bytes) {
            const std::uint64_t untouched = large ? budget_.limit() / 8 : 0;
            const std::uint64_t missing = bytes - spare_;
            const std::uint64_t steps = (missing + step_bytes - 1) / step_bytes * step_bytes;
            if (budget_.try_take(steps, untouched)) {
                spare_ += steps;
            } else if (budget_.try_take(missing, untouched)) {
                spare_ += missing;
            } else {
                return false;
            }
        }
        spare_ -= bytes;
        return true;
    }
    void give_back(std::uint64_t bytes) {
        spare_ += bytes;
        if (spare_ <= 2 * step_bytes) return;
        budget_.give_back(spare_ - step_bytes);
        spare_ = step_bytes;
    }

    // Whether a body of this size could be held now; `large` as above.
    bool has_room(std::uint64_t bytes, bool large) const {
        const std::uint64_t limit = budget_.limit(), used = budget_.used();
        return used + bytes <= limit - (large ? limit / 8 : 0) + spare_;
    }

  private:
    MemoryBudget& budget_;
    std::uint64_t spare_ = 0;
};

// Up to `small_bytes` in the heap; beyond, in pages of its own, which grow without a copy and are the
// system's again the moment they are released (a heap would keep them for itself).
class HeldBytes {
  public:
    static constexpr std::size_t small_bytes = 32768;

    explicit HeldBytes(MemoryShare& share) : share_(&share) {}
    HeldBytes(HeldBytes&& other) noexcept
        : share_(other.share_),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)),
          beside_(std::exchange(other.beside_, 0)),
          expected_(std::exchange(other.expected_, 0)) {}
    HeldBytes& operator=(HeldBytes&& other) noexcept {
        if (this == &other) return *this;
        release();
        share_ = other.share_;
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        capacity_ = std::exchange(other.capacity_, 0);
        beside_ = std::exchange(other.beside_, 0);
        expected_ = std::exchange(other.expected_, 0);
        return *this;
    }
    ~HeldBytes() { release(); }

    // How large it will become, UINT64_MAX if nobody says: what may become large leaves the room that is kept
    // for the small from its first byte on, or many that are barely begun would use it up. Until release().
    void expect(std::uint64_t bytes) { expected_ = bytes; }

    // False, and unchanged, when the budget or the system has no room.
    [[nodiscard]] bool append(std::string_view piece);

    // Takes memory for what is kept along with the bytes, until release().
    [[nodiscard]] bool take_beside(std::uint64_t bytes);

    void release();

    // All of it, for another owner; this one is empty then and can be used again.
    HeldBytes take() { return std::move(*this); }

    std::string_view view() const { return {data_, size_}; }
    std::size_t size() const { return size_; }

  private:
    bool is_mapped() const { return capacity_ > small_bytes; }
    bool grow(std::size_t needed);

    MemoryShare* share_;
    char* data_ = nullptr;
    std::size_t size_ = 0, capacity_ = 0;
    std::uint64_t beside_ = 0, expected_ = 0;
};

}  // namespace havn::gateway
