// A command line as its owner writes it, made into what execve takes.
//
// Plain words are run directly. Anything a shell must see (quotes, $, *, pipes, …) goes to `/bin/sh -c`, with
// `exec` before it where that is sound, so that the program itself and not a shell is the main process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace havn::supervisor {

struct Command {
    std::vector<std::string> arguments;
    bool shell_stays = false;  // the shell is the main process: signals must go to the whole group
    bool operator==(const Command&) const = default;
};

Command parse_command(std::string_view text);

}  // namespace havn::supervisor
