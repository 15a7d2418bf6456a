#include "wire/http1/chunked.h"

#include <algorithm>

#include "base/text/ascii.h"
#include "wire/http1/characters.h"

namespace havn::http1 {

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view input) {
    Step result;
    std::size_t at = 0;
    if (state_ == State::finished) return {Event::end, 0, 0, {}, Rule::none};
    while (at < input.size()) {
        if (state_ == State::data) {
            const std::size_t size =
                static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - at));
            left_ -= size;
            if (left_ == 0) state_ = State::data_cr;
            return {Event::data, at + size, 0, input.substr(at, size), Rule::none};
        }
        const State before = state_;
        if (!step(input[at])) return {Event::malformed, at, 0, {}, rule_};
        ++at;
        if (state_ == State::finished) return {Event::end, at, 0, {}, Rule::none};
        if (before == State::size_lf && state_ == State::data) {
            return {Event::chunk, at, left_, {}, Rule::none};
        }
    }
    result.eaten = at;
    return result;
}

bool ChunkedDecoder::broken(Rule rule) {
    rule_ = rule;
    state_ = State::failed;
    return false;
}

bool ChunkedDecoder::step(char c) {
    switch (state_) {
        case State::size:
            return size_step(c);
        case State::extension:
            return extension_step(c);
        case State::size_lf:
            if (c != '\n') return broken(Rule::chunk_size);
            state_ = left_ > 0 ? State::data : State::trailer_start;
            digits_ = 0;
            extension_bytes_ = 0;
            return true;
        case State::data_cr:
            if (c != '\r') return broken(Rule::chunk_end);
            state_ = State::data_lf;
            return true;
        case State::data_lf:
            if (c != '\n') return broken(Rule::chunk_end);
            state_ = State::size;
            return true;
        case State::trailer_start:
        case State::trailer:
        case State::trailer_lf:
        case State::last_lf:
            return trailer_step(c);
        case State::data:
        case State::finished:
        case State::failed:
            break;
    }
    return broken(rule_ == Rule::none ? Rule::chunk_size : rule_);
}

bool ChunkedDecoder::size_step(char c) {
    const char l = ascii_lower(c);
    const int digit = l >= '0' && l <= '9' ? l - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
    if (digit >= 0) {
        if (++digits_ > 16) return broken(Rule::chunk_size);
        left_ = (left_ << 4) | static_cast<std::uint64_t>(digit);
        return true;
    }
    if (digits_ == 0 || left_ >> 63 != 0) return broken(Rule::chunk_size);
    if (c == '\r') {
        state_ = State::size_lf;
        return true;
    }
    if (c != ';' && c != ' ' && c != '\t') return broken(Rule::chunk_size);
    state_ = State::extension;
    return extension_step(c);
}

bool ChunkedDecoder::extension_step(char c) {
    if (c == '\r') {
        state_ = State::size_lf;
        return true;
    }
    if (!has(c, value_character) || ++extension_bytes_ > extension_bytes_max ||
        ++all_extension_bytes_ > all_extension_bytes_max) {
        return broken(Rule::chunk_extension);
    }
    // White space alone is no extension: between size and CR LF it reads as a second number to some.
    if (extension_bytes_ == 1) colon_seen_ = c == ';';
    if (!colon_seen_ && c != ' ' && c != '\t') {
        if (c != ';') return broken(Rule::chunk_extension);
        colon_seen_ = true;
    }
    return true;
}

bool ChunkedDecoder::trailer_step(char c) {
    if (++trailer_bytes_ > trailer_bytes_max) return broken(Rule::trailer);
    switch (state_) {
        case State::trailer_start:
            if (c == '\r') {
                state_ = State::last_lf;
                return true;
            }
            if (!has(c, token_character)) return broken(Rule::trailer);
            colon_seen_ = false;
            state_ = State::trailer;
            return true;
        case State::trailer:
            if (c == '\r') {
                if (!colon_seen_) return broken(Rule::trailer);
                state_ = State::trailer_lf;
                return true;
            }
            if (!colon_seen_) {
                if (c == ':') {
                    colon_seen_ = true;
                    return true;
                }
                return has(c, token_character) || broken(Rule::trailer);
            }
            return has(c, value_character) || broken(Rule::trailer);
        case State::trailer_lf:
            if (c != '\n') return broken(Rule::trailer);
            state_ = State::trailer_start;
            return true;
        default:
            if (c != '\n') return broken(Rule::trailer);
            state_ = State::finished;
            return true;
    }
}

}  // namespace havn::http1
