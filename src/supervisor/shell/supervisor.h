// The supervisor's process, and what is left when it and its keeper died; `app` makes them `havn supervisor`
// and `havn keeper --clear`. keeper/keeper.h says what they are started with and what they return.
#pragma once

#include "supervisor/keeper/options.h"

namespace havn::supervisor {

int run_supervisor(const Options& options);
// `havn keeper --data DIR --clear`: kills what is left of a platform whose keeper and supervisor both died,
// and prints how many processes that were. Exit code 1, with the reason, when one runs or the folder is
// missing.
int run_clear(const Options& options);

}  // namespace havn::supervisor
