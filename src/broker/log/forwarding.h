// Where deliveries went whose segment was rewritten: the broker goes on naming them by the id it was given.
//
// Sixteen bytes per delivery that was moved and is still owed. What was moved twice is found through two
// steps. Nothing of this is on disk: after a restart every delivery is named by where it then stands.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "broker/core/message/journal.h"

namespace havn::broker {

class Forwarding {
  public:
    // Within one segment `from` rises.
    void add(DeliveryId from, Journal::Placement to);

    // Where it stands now; `at` itself if it was never moved.
    Journal::Placement find(Journal::Placement at) const;

    // The same, and it is forgotten. A delivery that was settled before leads nowhere: an id of segment 0.
    DeliveryId take(DeliveryId at);

    std::size_t size() const;

  private:
    struct Step {
        std::uint32_t ordinal = 0;
        std::uint32_t segment = 0;  // 0: settled
        std::uint32_t to_ordinal = 0, to_offset = 0;
    };
    struct Table {
        std::vector<Step> steps;  // by ordinal
        std::size_t live = 0;
    };
    static const Step* find_in(const Table& table, std::uint32_t ordinal);

    std::unordered_map<std::uint32_t, Table> tables_;  // by the segment they come from
};

}  // namespace havn::broker
