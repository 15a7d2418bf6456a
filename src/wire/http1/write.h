// Writing heads and chunks. `Out` is a std::string or a SpanWriter: whatever has append(data, size).
//
// Nothing here checks what it is given: names and values come from a parser or from the program.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "wire/http1/tables.h"

namespace havn::http1 {

// Fills a caller's span; what does not fit is dropped and remembered in overflowed().
class SpanWriter {
  public:
    explicit SpanWriter(std::span<char> out) : begin_(out.data()), at_(begin_), end_(begin_ + out.size()) {}

    SpanWriter& append(const char* data, std::size_t size) {
        if (size > static_cast<std::size_t>(end_ - at_)) {
            overflowed_ = true;
            return *this;
        }
        if (size > 0) std::memcpy(at_, data, size);  // an empty view may point nowhere
        at_ += size;
        return *this;
    }
    SpanWriter& append(std::string_view text) { return append(text.data(), text.size()); }
    std::size_t size() const { return static_cast<std::size_t>(at_ - begin_); }
    std::string_view text() const { return {begin_, size()}; }
    bool overflowed() const { return overflowed_; }

  private:
    char* begin_;
    char* at_;
    char* end_;
    bool overflowed_ = false;
};

template <class Out>
void write(Out& out, std::string_view text) {
    out.append(text.data(), text.size());
}

template <class Out>
void write_number(Out& out, std::uint64_t value, int base = 10) {
    char digits[20];
    const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value, base);
    out.append(digits, static_cast<std::size_t>(end.ptr - digits));
}

template <class Out>
void write_request_line(Out& out, std::string_view method, std::string_view target) {
    write(out, method);
    write(out, " ");
    write(out, target);
    write(out, " HTTP/1.1\r\n");
}

template <class Out>
void write_status_line(Out& out, unsigned status, std::string_view reason_text) {
    write(out, "HTTP/1.1 ");
    write_number(out, status);
    write(out, " ");
    write(out, reason_text);
    write(out, "\r\n");
}

template <class Out>
void write_status_line(Out& out, unsigned status) {
    write_status_line(out, status, reason(status));
}

template <class Out>
void write_header(Out& out, std::string_view name, std::string_view value) {
    write(out, name);
    write(out, ": ");
    write(out, value);
    write(out, "\r\n");
}

template <class Out>
void write_header(Out& out, std::string_view name, std::uint64_t value) {
    write(out, name);
    write(out, ": ");
    write_number(out, value);
    write(out, "\r\n");
}

template <class Out>
void write_head_end(Out& out) {
    write(out, "\r\n");
}

// The line before a chunk's data; "\r\n" follows the data, last_chunk ends the message.
template <class Out>
void write_chunk_size(Out& out, std::uint64_t size) {
    write_number(out, size, 16);
    write(out, "\r\n");
}

inline constexpr std::string_view last_chunk = "0\r\n\r\n";

}  // namespace havn::http1
