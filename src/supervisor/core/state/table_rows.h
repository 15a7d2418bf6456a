// The process table as control and `havn ps` show it: rows in JSON, whole or what changed.
//
// A row has these keys:
//   id, app, name, instance, kind, pid, state, restarts
//   since          start of the present life; without one, when the state was entered
//   state_since    when the present state was entered
//   address?       where it answers, while it has a life
//   port?          of such an address, where it has one
//   error?         why there is no good life at present
//   reason?        why the present life followed the one before
//   exit?, exit_code? | exit_signal?, exited_at?, uptime_ms?   how, when and after what time the last life
//                  ended; kept while the next one is ready
//   waits_for?     in state waiting: the programs of which no instance is ready yet
//   retry_at?      in state backoff: when the next start is due
//   failing?       true while its lives end so often that starts are held back, also in the midst of a life
//   outdated?      true for one that is to go or to be replaced
// Those of the keeper and the supervisor, which no table has, come first and have no id.
//
// A row is made anew when it would differ, and no other.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "supervisor/core/process_table.h"
#include "supervisor/core/state/platform_rows.h"

namespace havn::supervisor {

class TableRows {
  public:
    // The message `processes` with all rows (contract/link.h), of the given revision.
    std::string whole(const ProcessTable& table, const PlatformRows& platform, std::uint64_t revision);
    // With what changed of what was touched since; nothing when nothing did.
    std::optional<std::string> changes(const ProcessTable& table, const Touched& touched,
                                       std::uint64_t revision);

    // How many rows were made so far; for tests of what a change costs.
    std::uint64_t rows_encoded() const { return rows_encoded_; }

  private:
    struct Row {
        InstanceFacts facts;
        std::vector<std::string> waits_for;
        std::string text;
    };

    bool renew(const ProcessTable& table, const Instance& instance);

    std::unordered_map<InstanceId, Row> rows_;
    std::uint64_t rows_encoded_ = 0;
};

}  // namespace havn::supervisor
