// The chunked transfer coding, read piece by piece. RFC 9112 §7.1.
//
// next() looks at the input, eats some of it and reports one event; call it again with the rest. Sizes are
// plain hexadecimal of at most 16 digits, lines end with CR LF and nothing else. Extensions (bounded per
// chunk and per message) and trailers (bounded) are checked and dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/http1/tables.h"

namespace havn::http1 {

class ChunkedDecoder {
  public:
    static constexpr std::uint32_t extension_bytes_max = 256;        // of one chunk
    static constexpr std::uint32_t all_extension_bytes_max = 16384;  // of one message
    static constexpr std::uint32_t trailer_bytes_max = 8192;

    enum class Event : std::uint8_t {
        need_more,  // all input is eaten
        chunk,      // a chunk of `size` > 0 bytes begins
        data,       // `data` belongs to the body; a view into the input
        end,        // the message is over; what follows is not part of it
        malformed,  // see `rule`; no further call
    };
    struct Step {
        Event event = Event::need_more;
        std::size_t eaten = 0;
        std::uint64_t size = 0;
        std::string_view data;
        Rule rule = Rule::none;
    };

    Step next(std::string_view input);
    bool finished() const { return state_ == State::finished; }

  private:
    enum class State : std::uint8_t {
        size,
        extension,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer_start,
        trailer,
        trailer_lf,
        last_lf,
        finished,
        failed,
    };

    bool step(char c);
    bool size_step(char c);
    bool extension_step(char c);
    bool trailer_step(char c);
    bool broken(Rule rule);

    State state_ = State::size;
    Rule rule_ = Rule::none;
    std::uint8_t digits_ = 0;
    std::uint64_t left_ = 0;  // of the chunk
    std::uint32_t extension_bytes_ = 0, all_extension_bytes_ = 0, trailer_bytes_ = 0;
    bool colon_seen_ = false;
};

}  // namespace havn::http1
