// What goes to the terminal: colour where it helps, plain text everywhere else, errors with their remedy.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace havn::cli {

// The exit codes of every verb; `havn help` lists them.
enum Exit : int {
    ok = 0,
    failed = 1,
    changes = 2,  // plan: something would change
    usage = 64,   // the command line itself is wrong (EX_USAGE)
};

enum class Colour { red, green, yellow, blue, magenta, cyan, faint, bold };

// `text` in colour when standard output is a terminal, TERM is not "dumb" and NO_COLOR is unset or empty.
std::string paint(Colour colour, std::string_view text);
bool is_terminal();  // standard output

// A colour of its own for each name, the same every time.
std::string paint_name(std::string_view name);

// Columns aligned, two spaces between; the first row is the heading.
std::string table(const std::vector<std::vector<std::string>>& rows);

void print(std::string_view text);  // standard output, flushed
void print_json(const Json& json);
int print_error(const Error& error);  // "error: …" and the remedy on standard error; Exit::failed

// "840 ms", "2.3 s"
std::string elapsed(double seconds);

// How long ago, for tables: "12s", "5m", "3h", "2d".
std::string age(double seconds);

// The candidate nearest to `word` by edits, when it is near enough to be meant; else empty.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace havn::cli
