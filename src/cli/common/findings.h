// Whether a host can run the platform: facts in, findings out. Pure; verbs/doctor.cc reads the facts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace havn::cli {

struct HostFacts {
    std::string kernel;                            // "6.1.0-13-amd64"
    int cgroup_version = 0;                        // 0: none mounted
    std::uint64_t files_soft = 0, files_hard = 0;  // RLIMIT_NOFILE
    int somaxconn = 0;
    std::string data;             // the data folder, or where it would be
    std::string data_problem;     // why it cannot be written; empty: it can
    double fsync_ms = 0;          // median; 0: not measured
    std::uint64_t disk_free = 0;  // bytes
    std::uint64_t memory = 0;     // bytes
    bool running = false;         // then the ports below are its own
    std::vector<std::pair<std::string, std::string>>
        ports;  // address, and why it cannot be listened on or ""
};

struct Finding {
    enum class Severity { ok, warning, blocker };
    std::string id;
    Severity severity = Severity::ok;
    std::string measured, expected;
    std::string why, fix;  // empty when ok
};

std::vector<Finding> examine(const HostFacts& facts);
Json to_json(const Finding& finding);

}  // namespace havn::cli
