// When to parse a head that arrives in pieces, so that all the work it makes is linear in its size.
//
// The parsers keep nothing and start at the first byte. Parsed at each arrival, a head of 16 KB sent in
// packets of one byte would be parsed 16,384 times. It is worth parsing when it has doubled since the last
// time, when its empty line is there, or a line feed that a request may not hold: what is complete or breaks
// off is seen at once, other mistakes at the latest when as much again has come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace havn::http1 {

class HeadArrival {
  public:
    enum class Of : std::uint8_t { request, response };  // a response's lines may end with a bare LF
    explicit HeadArrival(Of of = Of::request) : of_(of) {}

    // `input`: what has come since reset(), all of it; only what is new is looked at. True: parse it.
    bool worth_parsing(std::string_view input);
    void reset() { *this = HeadArrival(of_); }

  private:
    bool ends_head(std::string_view input, std::size_t line_feed) const;

    Of of_;
    bool begun_ = false;      // a byte of the first line was seen: empty lines may stand before it
    std::size_t seen_ = 0;    // bytes looked at
    std::size_t due_at_ = 0;  // bytes
};

}  // namespace havn::http1
