#include "sim/supervisor_host.h"

#include <gtest/gtest.h>

namespace havn::supervisor {

Result<> SimDisk::replace_base(std::string_view text) {
    crash_.here();
    if (is_full()) return fail(Error::Kind::unavailable, "no space");
    base_ = std::string(text);
    crash_.here();
    return {};
}

Result<> SimDisk::empty_journal() {
    crash_.here();
    if (is_full()) return fail(Error::Kind::unavailable, "no space");
    journal_.clear();
    crash_.here();
    return {};
}

Result<> SimDisk::append_to_journal(std::string_view lines) {
    crash_.here();
    if (is_full()) {
        journal_ += lines.substr(0, random_.below(lines.size() + 1));
        return fail(Error::Kind::unavailable, "no space");
    }
    try {
        crash_.here();
    } catch (const Crash&) {
        journal_ += lines.substr(0, random_.below(lines.size() + 1));
        throw;
    }
    journal_ += lines;
    crash_.here();
    return {};
}

int SimHost::spawn(SimProcess process) {
    for (const auto& [pid, other] : living_) {
        EXPECT_NE(other.instance, process.instance) << process.label << " is started twice";
        if (process.role != Role::service) EXPECT_NE(other.label, process.label) << "started beside itself";
    }
    do {
        last_pid_ = last_pid_ + 1 < first_pid + pids ? last_pid_ + 1 : first_pid;
    } while (living_.contains(last_pid_));
    process.start_time = ++ticks_;
    living_[last_pid_] = std::move(process);
    return last_pid_;
}

}  // namespace havn::supervisor
