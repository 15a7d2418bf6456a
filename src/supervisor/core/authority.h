// As root: who may have a program run as which user. Control asks for programs, and control may be taken
// over; so nothing it says makes one run as somebody. What does is a manifest: a file's owner may have
// programs run as himself, and root's file as anybody.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "contract/supervisor.h"

namespace havn::supervisor {

// A manifest as it stands on disk, and whose word it is.
struct Authored {
    std::uint32_t author = 0;
    std::vector<Program> programs;  // with name, kind, command, directory, user and `env`
};

// Whether `asked` is what `written` says: name, kind, command, directory and user, and its environment but
// for what control adds to it (AMQP_URL, HAVN_APP, NAME_URL). How many there are and how long is waited is no
// matter of trust.
bool is_as_written(const Program& asked, const Program& written);

// Sets written_by of every program, whatever it said: from `manifest` where it stands there, else from
// `accepted`, what was accepted before, where it is as it was.
void note_authors(Desired& wanted, const Desired& accepted, const std::optional<Authored>& manifest);

struct Identity {
    std::uint32_t uid = 0;           // it is to run as
    std::uint32_t folder_owner = 0;  // of the folder it runs in
    std::uint32_t app = 0;           // the uid of instances that name no user
};

// Error::denied says what is missing. A program may run as the private user; as another one where root, or
// that one, wrote it; as root where it says so. And nobody else's folder is entered for it.
Result<> may_run(const Program& program, const Identity& identity);

}  // namespace havn::supervisor
