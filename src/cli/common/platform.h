// The running platform of a data folder, asked through run/control.sock. Blocking, for verbs that do one
// thing.
//
// Control may be gone for some milliseconds (it is restarted like everything else): as long as the platform
// runs, a call that finds nobody waits for it.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"

namespace havn::cli {

class Platform {
  public:
    explicit Platform(std::string data) : data_(std::move(data)) {}

    const std::string& data() const { return data_; }
    std::string socket_address() const { return "unix:" + data_ + "/run/control.sock"; }
    std::string log_folder() const { return data_ + "/logs"; }

    // Whether a supervisor, or the keeper that is about to start one, holds the lock of the data folder.
    bool running() const;
    int supervisor_pid() const;  // as the lock says; 0 when it says none

    Result<Json> get(const std::string& target, Duration timeout = seconds(10)) const;

    // The table of processes; rows of gateway and broker have their own word as `gateway` and `broker`, where
    // they give one: GET /v1/gateway and /v1/broker.
    Result<Json> processes() const;

    Result<Json> send(const std::string& method, const std::string& target, const Json& body,
                      Duration timeout = seconds(15)) const;

    // Reads a streamed answer; `on_line` returns false to hang up. Error::unavailable after `silence_max`
    // without a line.
    Result<> stream(const std::string& method, const std::string& target, const Json& body,
                    const std::function<bool(const Json&)>& on_line) const;

    static Error not_running();
    static Error went_away();  // control, in the middle of an answer

    // Twice and more what control lets pass between two lines of a progress.
    static constexpr Duration silence_max = seconds(20);

  private:
    std::string data_;
};

// That the platform runs another binary than this one, and what to do; empty when it does not. `status`: as
// GET /v1/status answers.
std::string replaced_binary(const Json& status);

// Prints a note when it does: what was asked for was done by the other binary.
void note_replaced_binary(const Platform& platform);

}  // namespace havn::cli
