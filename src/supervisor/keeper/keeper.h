// The keeper: the smallest process, which outlives the supervisor and holds what must not be lost with it.
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
// SIGTERM or SIGINT to keeper or supervisor stops everything in order; a second SIGINT kills. Both return the
// exit code of their process:
//   0  everything was stopped as asked
//   1  it could not start; why stands on standard error (already running, unwritable folder, …)
#pragma once

#include "supervisor/keeper/options.h"

namespace havn::supervisor {

int run_keeper(const Options& options);

}  // namespace havn::supervisor
