// The data folder as the supervisor needs it, and the lock that lets only one platform use it.
//
// As root the folders belong to the user of the parts. run/ and logs/ hold files of both, so they stay root's
// and are sticky: a part can make its files there and touch none of ours. Paths are relative to the data
// folder, which is the working directory.
#pragma once

#include <string>

#include "io/fd.h"
#include "supervisor/shell/account.h"

namespace havn::supervisor {

// Makes what is missing, sets owners and modes, and makes the data folder the working directory.
Result<> enter_data_folder(const std::string& path, const Account& parts);

// Error::conflict names the process that has it.
Result<io::Fd> lock_data_folder(const std::string& path);
// The holder's pid, for whoever finds it locked.
Result<> sign_lock(int lock);

inline constexpr const char* state_file = "run/processes.json";
inline constexpr const char* desired_file = "run/desired.json";  // what was accepted last

// Whole or not at all for a reader; not synced, for both are about processes that end with the power.
Result<> write_state(const std::string& path, const std::string& text);
// Error::denied when somebody else wrote it: it says which processes to signal.
Result<std::string> read_state(const std::string& path);

}  // namespace havn::supervisor
