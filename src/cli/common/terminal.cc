#include "cli/common/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/text/edit_distance.h"

namespace havn::cli {

bool is_terminal() {
    return ::isatty(STDOUT_FILENO) == 1;
}

namespace {

bool colours(int descriptor) {
    const char* refused = std::getenv("NO_COLOR");
    if (refused && *refused) return false;
    const char* terminal = std::getenv("TERM");
    return ::isatty(descriptor) == 1 && terminal && std::string_view(terminal) != "dumb";
}

std::string_view code_of(Colour colour) {
    switch (colour) {
        case Colour::red:
            return "31";
        case Colour::green:
            return "32";
        case Colour::yellow:
            return "33";
        case Colour::blue:
            return "34";
        case Colour::magenta:
            return "35";
        case Colour::cyan:
            return "36";
        case Colour::faint:
            return "2";
        case Colour::bold:
            return "1";
    }
    return "0";
}

std::string painted(Colour colour, std::string_view text, bool wanted) {
    return wanted ? fmt::format("\x1b[{}m{}\x1b[0m", code_of(colour), text) : std::string(text);
}

}  // namespace

std::string paint(Colour colour, std::string_view text) {
    static const bool wanted = colours(STDOUT_FILENO);
    return painted(colour, text, wanted);
}

std::string paint_name(std::string_view name) {
    constexpr std::array palette{Colour::cyan, Colour::yellow, Colour::green, Colour::magenta, Colour::blue};
    std::size_t sum = 0;
    for (const char c : name) sum = sum * 31 + static_cast<unsigned char>(c);
    return paint(palette[sum % palette.size()], name);
}

namespace {

// Characters on the screen: neither colour codes nor the later bytes of UTF-8 take a column.
std::size_t width(std::string_view text) {
    std::size_t columns = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\x1b') {
            while (i < text.size() && text[i] != 'm') ++i;
        } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
            ++columns;
        }
    }
    return columns;
}

}  // namespace

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const std::vector<std::string>& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    }
    std::string text;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::string line;
        for (std::size_t i = 0; i < rows[r].size(); ++i) {
            line += rows[r][i];
            if (i + 1 < rows[r].size()) line.append(widths[i] - width(rows[r][i]) + 2, ' ');
        }
        text += (r == 0 ? paint(Colour::bold, line) : line) + "\n";
    }
    return text;
}

void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

void print_json(const Json& json) {
    print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

int print_error(const Error& error) {
    std::string text = painted(Colour::red, "error:", colours(STDERR_FILENO)) + " " + error.message + "\n";
    if (!error.remedy.empty()) text += "  " + error.remedy + "\n";
    std::fflush(stdout);
    std::fwrite(text.data(), 1, text.size(), stderr);
    return Exit::failed;
}

std::string elapsed(double seconds) {
    return seconds < 1 ? fmt::format("{:.0f} ms", seconds * 1000) : fmt::format("{:.1f} s", seconds);
}

std::string age(double seconds) {
    if (seconds < 120) return fmt::format("{:.0f}s", std::max(seconds, 0.0));
    if (seconds < 2 * 3600) return fmt::format("{:.0f}m", seconds / 60);
    if (seconds < 2 * 86400) return fmt::format("{:.0f}h", seconds / 3600);
    return fmt::format("{:.0f}d", seconds / 86400);
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    std::string best;
    // Of three letters two others are another word: "run" does not mean "up".
    std::size_t best_distance = (word.size() <= 3 ? 1 : std::max<std::size_t>(2, word.size() / 3)) + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t edits = edit_distance(word, candidate, best_distance);
        if (edits < best_distance) {
            best_distance = edits;
            best = candidate;
        }
    }
    return best;
}

}  // namespace havn::cli
