#include "broker/log/forwarding.h"

#include <algorithm>

#include "base/assert.h"

namespace havn::broker {

void Forwarding::add(DeliveryId from, Journal::Placement to) {
    Table& table = tables_[from.segment];
    HAVN_ASSERT(table.steps.empty() || table.steps.back().ordinal < from.ordinal, "moved in order, and once");
    table.steps.push_back({from.ordinal, to.first.segment, to.first.ordinal, to.offset});
    ++table.live;
}

const Forwarding::Step* Forwarding::find_in(const Table& table, std::uint32_t ordinal) {
    const auto step = std::ranges::lower_bound(table.steps, ordinal, {}, &Step::ordinal);
    return step != table.steps.end() && step->ordinal == ordinal ? &*step : nullptr;
}

Journal::Placement Forwarding::find(Journal::Placement at) const {
    for (;;) {
        const auto table = tables_.find(at.first.segment);
        if (table == tables_.end()) return at;
        const Step* step = find_in(table->second, at.first.ordinal);
        if (!step) return at;
        at = {{step->segment, step->to_ordinal}, step->to_offset};
    }
}

DeliveryId Forwarding::take(DeliveryId at) {
    for (;;) {
        const auto found = tables_.find(at.segment);
        if (found == tables_.end()) return at;
        Table& table = found->second;
        const auto step = std::ranges::lower_bound(table.steps, at.ordinal, {}, &Step::ordinal);
        if (step == table.steps.end() || step->ordinal != at.ordinal) return at;
        at = {step->segment, step->to_ordinal};
        if (at.segment == 0) return at;
        step->segment = 0;
        if (--table.live == 0) {
            tables_.erase(found);
        } else if (table.steps.size() > 64 && table.live < table.steps.size() / 2) {
            std::erase_if(table.steps, [](const Step& old) { return old.segment == 0; });
        }
    }
}

std::size_t Forwarding::size() const {
    std::size_t all = 0;
    for (const auto& [segment, table] : tables_) all += table.live;
    return all;
}

}  // namespace havn::broker
