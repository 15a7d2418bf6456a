// What the requests of the control API carry, read and bounded. Pure functions from a body or a query to a
// value; Error::invalid says what was expected. (A manifest is read in submission.h, counts in scale.h.)
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/error.h"
#include "base/json.h"

namespace havn::control {

inline constexpr std::size_t name_bytes_max = 255;        // of a program, a part or a queue
inline constexpr std::uint32_t instance_max = 1'000'000;  // numbers are looked up, never counted to
inline constexpr std::size_t log_lines_max = 10'000'000;  // asked for at once
inline constexpr std::size_t path_bytes_max = 4096;

// {"name": TEXT, "instance": NUMBER or null}
struct RestartRequest {
    std::string name;
    std::uint32_t instance = 0;  // 0: all
};
Result<RestartRequest> read_restart(const Json& body);

// ?name=&instance=&lines=&follow=
struct LogsRequest {
    std::string name;
    std::uint32_t instance = 0;  // 0: all
    std::size_t lines = 100;
    bool follow = false;
};
Result<LogsRequest> read_logs(const std::map<std::string, std::string>& query);

// A name in the path of a request.
Result<> check_name(const std::string& name);

}  // namespace havn::control
