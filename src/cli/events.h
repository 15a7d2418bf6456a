// The lines of a change's progress (control/api.h), shown to people.
#pragma once

#include <string>

#include "base/json.h"

namespace havn::cli {

class EventPrinter {
  public:
    // `log_folder`: where the log of what failed is read. `show_plan`: print what changes before it happens.
    EventPrinter(std::string log_folder, bool show_plan)
        : log_folder_(std::move(log_folder)), show_plan_(show_plan) {}

    void on(const Json& event);

    bool finished() const { return finished_; }  // the last line came
    bool ok() const { return ok_; }              // everything is as wanted
    bool changed() const { return changed_; }    // there was something to change
    const Json& done() const { return done_; }

  private:
    void accepted(const Json& event);
    void state(const Json& event);
    void failed(const Json& event);

    std::string log_folder_;
    bool show_plan_;
    bool finished_ = false, ok_ = false, changed_ = false;
    Json done_;
};

}  // namespace havn::cli
