// The process `havn control`: accepts configurations, knows what runs, answers the CLI.
#pragma once

namespace havn::control {

// Runs in the data folder (the working directory), started by the supervisor with HAVN_LINK, until the
// supervisor is gone. Returns the exit code.
int run();

}  // namespace havn::control
