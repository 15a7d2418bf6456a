// What needs more than one key to judge: names that must exist, circles, contradictions. Fills in what one
// key leaves to another (a worker's instances from its scale, a service's balance from its routes) and sorts.
#pragma once

#include "manifest/reader.h"

namespace havn::manifest {

void check(Draft& draft);

}  // namespace havn::manifest
