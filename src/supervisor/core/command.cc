#include "supervisor/core/command.h"

#include <algorithm>
#include <array>

namespace havn::supervisor {

namespace {

constexpr std::string_view blank = " \t";

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> words;
    for (std::size_t at = text.find_first_not_of(blank); at != std::string_view::npos;) {
        const std::size_t end = std::min(text.find_first_of(blank, at), text.size());
        words.emplace_back(text.substr(at, end - at));
        at = text.find_first_not_of(blank, end);
    }
    return words;
}

// What the shell itself acts on: `text` without what stands in single quotes, and without the separators in
// double quotes (where $ and ` still act).
std::string unquoted(std::string_view text) {
    std::string left;
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\\' && quote != '\'') {
            ++i;
        } else if (quote == 0 && (c == '\'' || c == '"')) {
            quote = c;
        } else if (c == quote) {
            quote = 0;
        } else if (quote == 0 || (quote == '"' && c == '`')) {
            left += c;
        } else if (quote == '"' && text.substr(i).starts_with("$(")) {
            left += '(';
        }
    }
    return left;
}

// `exec` takes one simple command: no list, no pipe, no compound, no assignment in front, no built-in.
bool can_be_execed(std::string_view text, std::string_view first_word) {
    static constexpr std::array<std::string_view, 18> not_programs = {
        "if",     "for", "while",  "until", "case", "{",    "!",    "cd",   "exec",
        "export", "set", "ulimit", "umask", ".",    "trap", "wait", "eval", "unset"};
    if (unquoted(text).find_first_of(";|&()`\n") != std::string::npos) return false;
    if (first_word.find('=') != std::string_view::npos) return false;
    return std::ranges::find(not_programs, first_word) == not_programs.end();
}

}  // namespace

Command parse_command(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\n");
    const std::size_t last = text.find_last_not_of(" \t\n");
    text = first == std::string_view::npos ? std::string_view() : text.substr(first, last - first + 1);
    std::vector<std::string> words = split(text);
    const std::string_view first_word = words.empty() ? std::string_view() : std::string_view(words[0]);
    const bool plain = text.find_first_of("|&;<>()$`\\\"'*?[]#~{}!\n") == std::string_view::npos;
    if (plain && can_be_execed(text, first_word)) return {std::move(words), false};
    if (can_be_execed(text, first_word)) return {{"/bin/sh", "-c", "exec " + std::string(text)}, false};
    return {{"/bin/sh", "-c", std::string(text)}, true};
}

}  // namespace havn::supervisor
