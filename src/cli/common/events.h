// The lines of a change's progress (control/api.h), shown to people.
#pragma once

#include <string>

#include "base/json.h"
#include "cli/common/platform.h"

namespace havn::cli {

class EventPrinter {
  public:
    struct Show {
        bool plan = false;  // what changes, before it happens
        bool steps = true;  // what gets ready and what ends; false where the supervisor's log is shown
    };

    // `log_folder`: where the log of what failed is read.
    EventPrinter(std::string log_folder, Show show) : log_folder_(std::move(log_folder)), show_(show) {}

    void on(const Json& event);

    bool finished() const { return finished_; }  // the last line came
    bool ok() const { return ok_; }              // everything is as wanted
    bool changed() const { return changed_; }    // there was something to change
    const Json& done() const { return done_; }

    // Why not everything is as asked, a line for each program: "web: 0 of 2 replaced; web.1 failed: exit 2;
    // …". Empty when all is well.
    std::string cause() const;

  private:
    void accepted(const Json& event);
    void state(const Json& event);
    void failed(const Json& event);

    std::string log_folder_;
    Show show_;
    bool finished_ = false, ok_ = false, changed_ = false;
    Json done_;
};

// Sends a change to control and shows its progress to the end. Bounded: control gives a sign of life every
// few seconds, and says in the end what came of it.
Result<> follow_change(const Platform& platform, const std::string& target, const Json& body,
                       EventPrinter& printer);

}  // namespace havn::cli
