// What control itself adds to /metrics, in Prometheus' text format (version 0.0.4).
#pragma once

#include <string>

#include "base/json.h"

namespace havn::control {

// havn_process_up, havn_process_restarts_total, havn_process_state and havn_configuration_refused, from the
// table of processes.
std::string process_metrics(const Json& processes);

// Texts of several sources as one. A family that more than one of them declares keeps its first HELP and TYPE
// line.
std::string merge_metrics(const std::vector<std::string>& texts);

}  // namespace havn::control
