// The data folder as the supervisor needs it, and the lock that lets only one platform use it.
//
// It must be ours: a folder of another user, or a link, is refused, for what stands in it decides what is
// run. As root each of its folders has one writer (see "Who may do what" in ARCHITECTURE.md): applied/ is
// control's, queue/ the broker's, logs/gateway/ the gateway's, all else the supervisor's. Instances may enter
// none of them. Paths are relative to the data folder, which is the working directory.
#pragma once

#include <string>

#include "io/fd.h"
#include "supervisor/runtime/platform_accounts.h"

namespace havn::supervisor {

// Makes the data folder the working directory, and makes it where it is missing.
Result<> enter_data_folder(const std::string& path);
// Makes the folders in it, sets their owners and modes. What a folder's former owner left in it goes to the
// present one.
Result<> prepare_folders(const std::string& path, const Accounts& accounts);

// Error::conflict names the process that has it. The lock belongs to the open file: duplicates of the
// descriptor, in whatever process, hold it as well.
Result<io::Fd> lock_data_folder(const std::string& path);
// The holder's pid, for whoever finds it locked.
Result<> sign_lock(int lock);

inline constexpr const char* state_file = "run/processes.json";
inline constexpr const char* journal_file = "run/processes.jsonl";      // what changed since that was written
inline constexpr const char* first_journal_file = "run/spawned.jsonl";  // what version 1 had instead
inline constexpr const char* desired_file = "run/desired.json";  // what was accepted last; stays after a stop

}  // namespace havn::supervisor
