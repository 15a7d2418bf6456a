// The two processes that everything else hangs on; `app` makes them `havn keeper` and `havn supervisor`.
//
// `havn keeper --data DIR [--foreground]` is what `havn up` starts. It starts `havn supervisor` with the same
// arguments (by executing itself again: the arguments must keep these names), keeps a copy of every
// descriptor the supervisor cannot lose, and starts the next supervisor at once when one dies. When the
// keeper dies, the supervisor becomes a keeper itself and a new supervisor takes over.
//
// DIR is made when missing (its parent must exist). With `foreground`, what instances print also goes to
// standard output, and a closing terminal stops the platform; without, the keeper becomes a session of its
// own, and from the moment everything is in place its standard streams are logs/supervisor.log and /dev/null.
//
// SIGTERM or SIGINT to either stops everything in order; a second SIGINT kills. Both return the exit code of
// their process:
//   0  everything was stopped as asked
//   1  it could not start; why stands on standard error (already running, unwritable folder, …)
#pragma once

#include <string>

#include "supervisor/shell/manifest_file.h"

namespace havn::supervisor {

struct Options {
    std::string data;
    bool foreground = false;
    ReadPrograms read_programs;  // without it no manifest counts
};

int run_keeper(const Options& options);
// `havn keeper --data DIR --clear`: kills what is left of a platform whose keeper and supervisor both died,
// and prints how many processes that were. Exit code 1, with the reason, when one runs or the folder is
// missing.
int run_clear(const Options& options);
int run_supervisor(const Options& options);

}  // namespace havn::supervisor
