// The composition root: which code a command line of `havn` runs.
//
// The platform's own processes (keeper, supervisor, control, gateway, broker) are verbs that people do not
// see; they are told apart before the command line of everybody else is looked at, so that each starts in a
// millisecond.
#pragma once

namespace havn::app {

int run(int argc, char** argv);

}  // namespace havn::app
