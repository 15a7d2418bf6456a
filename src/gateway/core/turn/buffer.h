// Buffers of one thread. A connection holds one only while bytes are in it: an idle one costs none. A request
// begins in a small one, which nearly every head fits into, because it is held until the request is over.
//
// A buffer knows its own capacity: the configuration may change it for those taken later, so whoever copies
// into a buffer asks that buffer, or takes one that is large enough.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace havn::gateway {

// Bytes [begin, end) of `capacity`, with room before and after for re-framing a body in place.
struct Buffer {
    static constexpr std::size_t headroom = 32, tailroom = 8;

    explicit Buffer(std::size_t size) : memory(new char[size]), capacity(size) {}

    char* first() { return memory.get() + begin; }
    std::size_t size() const { return end - begin; }
    std::string_view text() const { return {memory.get() + begin, size()}; }
    char* space() { return memory.get() + end; }
    std::size_t space_size() const { return capacity - tailroom - end; }
    bool full() const { return space_size() == 0; }
    void clear() { begin = end = headroom; }

    // Where a view into this buffer lies.
    char* at(const char* inside) { return memory.get() + (inside - memory.get()); }

    // `text` fits into space_size().
    void append(std::string_view text) {
        if (!text.empty()) std::memcpy(space(), text.data(), text.size());
        end += text.size();
    }

    // Moves what is left to the front, so that all the room is behind it.
    void compact() {
        std::memmove(memory.get() + headroom, first(), size());
        end -= begin - headroom;
        begin = headroom;
    }

    std::unique_ptr<char[]> memory;
    std::size_t capacity;
    std::size_t begin = headroom, end = headroom;
};

class BufferPool;
struct BufferReturn {
    BufferPool* pool = nullptr;
    void operator()(Buffer* buffer) const;
};
using BufferPtr = std::unique_ptr<Buffer, BufferReturn>;

class BufferPool {
  public:
    static constexpr std::size_t kept_max = 64, small_kept_max = 512;
    static constexpr std::size_t small_bytes = 4096;
    static constexpr std::size_t own_fields_bytes = 4096;  // more than what we add to a head

    // Of the buffers taken from now on.
    void set_capacity(std::size_t capacity) {
        if (capacity != capacity_) free_.clear();
        capacity_ = capacity;
    }
    std::size_t capacity() const { return capacity_; }

    // With room for `bytes` at least.
    BufferPtr take(std::size_t bytes) {
        const std::size_t capacity = bytes + Buffer::headroom + Buffer::tailroom;
        if (capacity > capacity_) return BufferPtr(new Buffer(capacity), BufferReturn{this});
        return take();
    }
    BufferPtr take() { return take(free_, capacity_); }
    BufferPtr take_small() { return take(free_small_, small_bytes); }
    void give_back(Buffer* buffer) {
        if (buffer->capacity == small_bytes && free_small_.size() < small_kept_max) {
            free_small_.emplace_back(buffer);
        } else if (buffer->capacity == capacity_ && free_.size() < kept_max) {
            free_.emplace_back(buffer);
        } else {
            delete buffer;
        }
    }

  private:
    BufferPtr take(std::vector<std::unique_ptr<Buffer>>& free, std::size_t capacity) {
        if (free.empty()) return BufferPtr(new Buffer(capacity), BufferReturn{this});
        Buffer* const buffer = free.back().release();
        free.pop_back();
        buffer->clear();
        return BufferPtr(buffer, BufferReturn{this});
    }

    std::size_t capacity_ = 36864;
    std::vector<std::unique_ptr<Buffer>> free_, free_small_;
};

inline void BufferReturn::operator()(Buffer* buffer) const {
    pool->give_back(buffer);
}

}  // namespace havn::gateway
