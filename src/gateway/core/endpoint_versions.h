// Which threads follow which table of endpoints, and which endpoints that left a table they still use: what
// the supervisor waits for before it tells an instance to end.
//
// Pure bookkeeping: the owner says what its threads report, and sends on what is returned.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gateway/core/cluster/clusters.h"

namespace havn::gateway {

class EndpointVersions {
  public:
    // What the supervisor is to be told, each once.
    struct News {
        std::vector<std::uint64_t> applied;  // versions that all threads follow
        std::vector<std::string> drained;    // addresses that no thread uses any more
        bool operator==(const News&) const = default;
    };

    // The table of `version` takes the place of the one before, on these threads.
    News replace(const Clusters::Table& table, std::uint64_t version, const std::set<std::size_t>& threads);

    News applied(std::size_t thread, std::uint64_t version);

    // Word of an earlier removal may arrive when the endpoint was back and left again: it counts for the
    // table that dropped it only.
    News drained(std::size_t thread, const std::string& address, std::uint64_t removed_by);

    News thread_ended(std::size_t thread);

    const Clusters::Table& table() const { return table_; }
    std::uint64_t version() const { return version_; }

  private:
    struct Draining {
        std::uint64_t version = 0;      // of the table that dropped the endpoint
        std::set<std::size_t> threads;  // that have not said it is unused yet
    };

    News take_news();

    Clusters::Table table_;
    std::uint64_t version_ = 0;
    std::map<std::uint64_t, std::set<std::size_t>> applying_;  // threads that do not follow a version yet
    std::map<std::string, Draining> draining_;                 // by address
};

}  // namespace havn::gateway
