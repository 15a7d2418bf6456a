// Who may come in from outside: how many connections in all, how many of one address, and how many
// descriptors of the process they may use. One for all threads, safe from any of them; asked once per
// connection.
//
// A place is reserved before a connection is accepted, so that one there is no room for waits in the kernel's
// backlog and not inside. Connections of services to each other never need a place: they and the connections
// to upstreams are counted as descriptors only, and the edge leaves what is left of its line to them.
//
// An address is a whole one for IPv4 and the /64 for IPv6, as a customer is given them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/ip.h"

namespace havn::gateway {

class Admission {
  public:
    struct Limits {
        std::uint64_t connections = 20'000;  // from outside
        std::uint64_t per_address = 0;       // of them; 0: a quarter of what fits
        std::uint64_t descriptors = 1024;    // of the process
    };
    // What one connection counts for, given back when it is destroyed.
    class Place {
      public:
        Place() = default;
        Place(Place&& other) noexcept
            : admission_(std::exchange(other.admission_, nullptr)),
              key_(other.key_),
              from_outside_(other.from_outside_),
              counted_(other.counted_) {}
        Place& operator=(Place&& other) noexcept {
            leave();
            admission_ = std::exchange(other.admission_, nullptr);
            key_ = other.key_;
            from_outside_ = other.from_outside_;
            counted_ = other.counted_;
            return *this;
        }
        ~Place() { leave(); }
        void leave();
        explicit operator bool() const { return admission_ != nullptr; }

      private:
        friend class Admission;
        Admission* admission_ = nullptr;
        std::uint64_t key_ = 0;
        bool from_outside_ = false;
        bool counted_ = false;  // under its address
    };

    void set_limits(const Limits& limits);

    // A place for a connection from outside that is about to be accepted; none when it is full.
    Place reserve();

    // A place for what always gets one: a connection between services, or to an upstream.
    Place inside();

    // The reserved place becomes that of an address. False: the address has as many as it may have.
    [[nodiscard]] bool settle(Place& place, const IpAddress& address);

    // How many fit at most, whatever is set: the rest of the descriptors is for upstreams, log and control.
    std::uint64_t connections_max() const { return edge_max_.load(std::memory_order_relaxed); }
    std::uint64_t per_address_max() const { return address_max_.load(std::memory_order_relaxed); }
    std::uint64_t descriptors_max() const { return descriptors_.load(std::memory_order_relaxed); }
    std::uint64_t connections() const { return edge_.load(std::memory_order_relaxed); }
    bool full() const;

  private:
    struct Shard {
        std::mutex mutex;
        std::unordered_map<std::uint64_t, std::uint32_t> counts;
    };
    static constexpr std::size_t shards = 64;

    Shard& shard_of(std::uint64_t key) { return table_[key * 0x9E3779B97F4A7C15u >> 58]; }
    static std::uint64_t key_of(const IpAddress& address);

    std::atomic<std::uint64_t> edge_{0}, others_{0};
    std::atomic<std::uint64_t> edge_max_{20'000}, address_max_{5'000}, descriptors_{1024}, line_{896};
    std::array<Shard, shards> table_;
};

}  // namespace havn::gateway
