// A limit in bytes for what a peer can make a part hold, and an account of what is held now.
//
// Whoever keeps bytes of a peer takes them from a budget first and gives them back when they are freed. What
// does not fit is refused, paused or shed by the caller; a budget itself never waits and never fails. A Share
// gives back what it holds when it is destroyed, so that an early return cannot leak.
//
// A budget outlives its shares. It is not synchronised: one per thread, or one under a lock of the caller.
#pragma once

#include <cstdint>
#include <utility>

namespace havn {

class Budget {
  public:
    explicit Budget(std::uint64_t limit_bytes) : limit_(limit_bytes) {}
    Budget(const Budget&) = delete;
    Budget& operator=(const Budget&) = delete;

    // Takes all of `bytes`, or nothing when that would exceed the limit.
    [[nodiscard]] bool try_take(std::uint64_t bytes) {
        if (bytes > available()) return false;
        used_ += bytes;
        return true;
    }

    // For what is held already and cannot be refused any more; the use may exceed the limit.
    void take(std::uint64_t bytes) { used_ += bytes; }

    void give_back(std::uint64_t bytes) { used_ -= bytes < used_ ? bytes : used_; }

    // A lower limit takes nothing away: it refuses until enough was given back.
    void set_limit(std::uint64_t limit_bytes) { limit_ = limit_bytes; }

    std::uint64_t limit() const { return limit_; }
    std::uint64_t used() const { return used_; }
    std::uint64_t available() const { return used_ < limit_ ? limit_ - used_ : 0; }
    bool exceeded() const { return used_ > limit_; }

    // What one owner holds of a budget.
    class Share {
      public:
        Share() = default;
        explicit Share(Budget& budget) : budget_(&budget) {}
        Share(Share&& other) noexcept
            : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
        Share& operator=(Share&& other) noexcept {
            if (this == &other) return *this;
            release();
            budget_ = std::exchange(other.budget_, nullptr);
            bytes_ = std::exchange(other.bytes_, 0);
            return *this;
        }
        ~Share() { release(); }

        // Adds `bytes` to what is held. False, and unchanged, when the budget refuses or there is none.
        [[nodiscard]] bool try_grow(std::uint64_t bytes) {
            if (!budget_ || !budget_->try_take(bytes)) return false;
            bytes_ += bytes;
            return true;
        }
        void shrink(std::uint64_t bytes) {
            if (bytes > bytes_) bytes = bytes_;
            if (budget_) budget_->give_back(bytes);
            bytes_ -= bytes;
        }
        void release() { shrink(bytes_); }
        std::uint64_t bytes() const { return bytes_; }

      private:
        Budget* budget_ = nullptr;
        std::uint64_t bytes_ = 0;
    };

  private:
    std::uint64_t limit_;
    std::uint64_t used_ = 0;
};

}  // namespace havn
