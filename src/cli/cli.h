// The command line: verbs, options, help. Each verb does its work in a file of its own (verbs.h).
#pragma once

namespace havn::cli {

// Everything but the platform's internal verbs. Returns the exit code.
int run(int argc, char** argv);

}  // namespace havn::cli
