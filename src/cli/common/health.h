// What the rows of the process table say to people, and whether all is well. Pure: rows and the time in.
//
// All is well when every instance that is wanted is ready, none of them keeps ending, gateway and
// broker answer and take their configuration, the broker does not hold publishers back, and the gateway is
// short of nothing. A row with `outdated` is on its way out and says nothing about that.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace havn::cli {

// One sentence for each thing that is not well: "web.1 is backoff: exit 2".
std::vector<std::string> complaints_about(const Json& rows, WallTime now);

// What is to be shown below the table: why parts do not take their configuration, and what the broker's row
// says of disk and memory.
std::vector<std::string> refusal_lines(const Json& rows);
std::vector<std::string> broker_lines(const Json& rows);
// And what is no complaint about the platform, but may be one about a client.
std::vector<std::string> broker_notes(const Json& rows);

// What the gateway's row says it is short of; with `unwell`, only what others notice than those who caused
// it.
std::vector<std::string> gateway_lines(const Json& rows, bool unwell = false);

std::string since_of(const Json& row, WallTime now);      // "12s"; of the present life
std::string last_exit_of(const Json& row, WallTime now);  // "signal 9 (Killed), 3m ago"; empty: none yet
std::string note_of(const Json& row, WallTime now);       // why it is not ready, what it waits for

}  // namespace havn::cli
