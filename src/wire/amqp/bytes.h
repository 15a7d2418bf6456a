// Reading and writing the wire's elementary types: big-endian integers, strings with a length, packed bits.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/assert.h"

namespace havn::amqp {

template <class Integer>
Integer load(const char* from) {
    Integer value;
    std::memcpy(&value, from, sizeof value);
    if constexpr (sizeof value > 1 && std::endian::native == std::endian::little) {
        value = std::byteswap(value);
    }
    return value;
}

template <class Integer>
char* store(char* to, Integer value) {
    if constexpr (sizeof value > 1 && std::endian::native == std::endian::little) {
        value = std::byteswap(value);
    }
    std::memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

inline char* store_bytes(char* to, std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    return to + bytes.size();
}

// `bytes` more at the end of `out`, not initialised: the caller writes every one of them. (The size handed to
// the operation is not looked at: libstdc++ 12 passes a larger one when the string had to grow.)
inline char* extend(std::string& out, std::size_t bytes) {
    const std::size_t old = out.size();
    out.resize_and_overwrite(old + bytes, [=](char*, std::size_t) { return old + bytes; });
    return out.data() + old;
}

// Takes from the front of a view. Past the end every read yields zero or empty and ok() is false for good.
class Reader {
  public:
    explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    bool ok() const { return ok_; }
    bool at_end() const { return at_ == end_; }
    std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
    const char* position() const { return at_; }
    std::string_view rest() const { return {at_, left()}; }

    template <class Integer>
    Integer integer() {
        if (left() < sizeof(Integer)) return fail(), Integer{};
        const Integer value = load<Integer>(at_);
        at_ += sizeof(Integer);
        return value;
    }
    std::string_view take(std::size_t size) {
        if (left() < size) return fail(), std::string_view{};
        const std::string_view taken(at_, size);
        at_ += size;
        return taken;
    }
    std::string_view short_string() { return take(integer<std::uint8_t>()); }
    std::string_view long_string() { return take(integer<std::uint32_t>()); }

    void fail() {
        ok_ = false;
        at_ = end_;
    }

  private:
    const char* at_;
    const char* end_;
    bool ok_ = true;
};

}  // namespace havn::amqp
