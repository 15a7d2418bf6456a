#include "gateway/core/policy/path.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace havn::gateway {
namespace {

enum class Dots : std::uint8_t {
    after_merging,   // empty segments are dropped first: the normal form
    before_merging,  // ".." may take an empty segment away: RFC 3986 §5.2.4, as URL libraries do it
    kept,            // ".." is a segment like any other
};

struct Reading {
    Dots dots = Dots::after_merging;
    bool other_slashes = false;  // %2F, %5C and '\' are slashes
    bool parameters = false;     // a segment ends at ';', %3B, %3F and %23
};

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The byte that the escape at `at` stands for; -1 when it is none.
int escaped_byte(std::string_view path, std::size_t at) {
    if (path.size() - at < 3) return -1;
    const int high = hex_digit(path[at + 1]), low = hex_digit(path[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Writes a path segment by segment.
class Writer {
  public:
    Writer(Dots dots, std::size_t size) : dots_(dots) { out_.reserve(size + 1); }

    void add(char c) { out_ += c; }
    void add(std::string_view text) { out_ += text; }

    // Ends the segment; `slash`: another one follows.
    void end_segment(bool slash) {
        const std::string_view segment = std::string_view(out_).substr(begin_);
        if (segment == ".") {
            out_.resize(begin_);
        } else if (segment == ".." && dots_ != Dots::kept) {
            out_.resize(begin_);
            if (begin_ > 1) out_.resize(out_.rfind('/', begin_ - 2) + 1);
        } else if (slash && (!segment.empty() || dots_ == Dots::before_merging)) {
            out_ += '/';
        }
        begin_ = out_.size();
    }
    std::string take() {
        if (dots_ == Dots::before_merging) {
            const auto both_slashes = [](char a, char b) { return a == '/' && b == '/'; };
            out_.erase(std::unique(out_.begin(), out_.end(), both_slashes), out_.end());
        }
        return std::move(out_);
    }

  private:
    Dots dots_;
    std::string out_ = "/";
    std::size_t begin_ = 1;  // of the segment being written
};

// Escapes that stay as they are, since what they stand for would mean something else in a path.
std::string_view kept_escape(char c) {
    switch (c) {
        case '/':
            return "%2F";
        case '?':
            return "%3F";
        case '#':
            return "%23";
        case ';':
            return "%3B";
        case '%':
            return "%25";
        default:
            return {};
    }
}

std::expected<std::string, std::string_view> read(std::string_view path, Reading reading) {
    Writer writer(reading.dots, path.size());
    bool dropping = false;  // parameters, up to the end of the segment
    for (std::size_t at = path.starts_with('/') ? 1 : 0; at < path.size(); ++at) {
        char c = path[at];
        const bool escaped = c == '%';
        if (escaped) {
            const int byte = escaped_byte(path, at);
            if (byte < 0) return std::unexpected("the path holds a '%' without two hexadecimal digits");
            if (byte == 0) return std::unexpected("the path holds an escaped NUL");
            c = static_cast<char>(byte);
            at += 2;
        }
        if ((c == '/' && !escaped) || (reading.other_slashes && (c == '/' || c == '\\'))) {
            writer.end_segment(true);
            dropping = false;
            continue;
        }
        dropping |= reading.parameters && (c == ';' || (escaped && (c == '?' || c == '#')));
        if (dropping) continue;
        const std::string_view kept = escaped ? kept_escape(c) : std::string_view();
        kept.empty() ? writer.add(c) : writer.add(kept);
    }
    writer.end_segment(false);
    return writer.take();
}

// Bytes that do not stand for themselves, or not for every reader.
constexpr std::array<bool, 256> make_doubtful() {
    std::array<bool, 256> doubtful{};
    for (const char c : std::string_view("%;\\")) doubtful[static_cast<unsigned char>(c)] = true;
    return doubtful;
}
constexpr std::array<bool, 256> doubtful = make_doubtful();

// Whether an empty or a dot segment begins at the start of `rest`.
bool drops_out(std::string_view rest) {
    if (rest.empty()) return false;  // the end of "/api/"
    if (rest.front() == '/') return true;
    if (rest.front() != '.') return false;
    const std::string_view segment = rest.substr(0, rest.find('/'));
    return segment == "." || segment == "..";
}

}  // namespace

bool is_plain_path(std::string_view path) {
    for (std::size_t at = 0; at < path.size(); ++at) {
        if (doubtful[static_cast<unsigned char>(path[at])]) return false;
        if (path[at] == '/' && drops_out(path.substr(at + 1))) return false;
    }
    return path.starts_with('/');
}

std::expected<std::string, std::string_view> normal_path(std::string_view path) {
    return read(path, {});
}

std::vector<std::string> other_readings(std::string_view path) {
    bool slashes = false, parameters = false;
    bool dots = path.contains("..");
    for (std::size_t at = 0; at < path.size(); ++at) {
        const int c = path[at] == '%' ? escaped_byte(path, at) : path[at];
        dots |= c == '.' && path[at] == '%';
        slashes |= c == '\\' || (c == '/' && path[at] == '%');
        parameters |= c == ';' || c == '?' || c == '#';
    }
    std::vector<std::string> readings;
    for (const Dots mode : {Dots::after_merging, Dots::before_merging, Dots::kept}) {
        if (mode != Dots::after_merging && !dots) continue;
        for (const bool other_slashes : {false, true}) {
            if (other_slashes && !slashes) continue;
            for (const bool cut : {false, true}) {
                if (cut && !parameters) continue;
                if (mode == Dots::after_merging && !other_slashes && !cut) continue;  // the normal form
                if (auto form = read(path, {mode, other_slashes, cut})) readings.push_back(*std::move(form));
            }
        }
    }
    return readings;
}

}  // namespace havn::gateway
