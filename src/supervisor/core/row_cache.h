// Rows of tables of units, as JSON text, each made anew only when it would differ.
//
// A platform of a thousand instances writes its tables after every change, and one row of them is new. To
// make all of them took tens of milliseconds, in which nothing else that ended was started again.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/json.h"
#include "supervisor/core/unit.h"

namespace havn::supervisor {

class RowCache {
  public:
    // Appends the unit's row. `make` is asked for it when the unit's facts are not those of the last time, or
    // when `rest` is not, which stands for all else that the row depends on.
    template <class Make>
    void append(std::string& text, const Unit& unit, std::string_view rest, Make make) {
        const auto [entry, is_new] = rows_.try_emplace(unit.id);
        Row& row = entry->second;
        const UnitFacts& facts = unit;
        if (is_new || row.facts != facts || row.rest != rest) row = {facts, std::string(rest), make().dump()};
        text += row.text;
    }

    // Forgets the rows of those that are not among `units` any more.
    template <class Units>
    void forget_all_but(const Units& units) {
        if (rows_.size() == units.size()) return;
        std::erase_if(rows_, [&units](const auto& row) { return !units.contains(row.first); });
    }

  private:
    struct Row {
        UnitFacts facts;
        std::string rest;
        std::string text;
    };
    std::unordered_map<UnitId, Row> rows_;
};

}  // namespace havn::supervisor
