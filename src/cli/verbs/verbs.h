// What each verb does, with its options as values. Every function returns the exit code (terminal.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/common/log_query.h"
#include "cli/common/project.h"

namespace havn::cli {

struct UpOptions {
    Place place;
    bool detached = false;
    bool force = false;  // apply anew though nothing changes
};
int up(const UpOptions& options);

int down(const Place& place);

struct PlanOptions {
    Place place;
    bool json = false;
};
int plan(const PlanOptions& options);

struct ShowOptions {
    Place place;
    bool json = false;
};
int status(const ShowOptions& options);
int routes(const ShowOptions& options);
int queue_list(const ShowOptions& options);
int doctor(const ShowOptions& options);

struct PsOptions {
    Place place;
    bool json = false;
    bool quiet = false;
    bool watch = false;
};
int ps(const PsOptions& options);

int queue_purge(const Place& place, const std::string& name);

struct LogsOptions {
    Place place;
    std::string name;  // NAME, NAME.INSTANCE, or empty: the whole application
    LogSpan span;
    bool follow = false;
    bool json = false;
};
int logs(const LogsOptions& options);

struct EventsOptions {
    Place place;
    std::string name;  // NAME, NAME.INSTANCE, or empty: everything
    LogSpan span;
    bool follow = false;
    bool json = false;
};
int events(const EventsOptions& options);

int restart(const Place& place, const std::string& name);                    // NAME or NAME.INSTANCE
int scale(const Place& place, const std::vector<std::string>& assignments);  // NAME=COUNT

int init(const std::string& folder);
int version(bool json);

// "NAME" or "NAME.2"; instance 0 when none is given.
struct InstanceName {
    std::string name;
    std::uint32_t instance = 0;
};
InstanceName parse_instance(const std::string& text);

}  // namespace havn::cli
