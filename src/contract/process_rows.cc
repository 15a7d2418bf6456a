#include "contract/process_rows.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

namespace havn::link {

namespace {

std::uint64_t number_at(const Json& row, const char* key) {
    const auto found = row.find(key);
    return found == row.end() ? 0 : integer_of<std::uint64_t>(*found).value_or(0);
}

auto order_of(const Json& row) {
    const std::uint64_t id = number_at(row, "id");
    return std::tuple(id != 0, text_of(row, "kind") != "platform", text_of(row, "app"), text_of(row, "name"),
                      number_at(row, "instance"), id);
}

}  // namespace

void ProcessRows::apply(Processes message) {
    if (message.whole) {
        rows_ = std::move(message.rows);
        return;
    }
    std::unordered_map<std::uint64_t, Json*> changed;
    for (Json& row : message.rows) changed[number_at(row, "id")] = &row;
    const std::unordered_set<std::uint64_t> gone(message.gone.begin(), message.gone.end());
    Json::array_t next;
    next.reserve(rows_.size() + changed.size());
    for (Json& row : rows_) {
        const std::uint64_t id = number_at(row, "id");
        if (gone.contains(id)) continue;
        const auto found = changed.find(id);
        next.push_back(std::move(found == changed.end() ? row : *found->second));
        if (found != changed.end()) changed.erase(found);
    }
    for (const auto& [id, row] : changed) {
        const auto behind = std::ranges::upper_bound(next, order_of(*row), {}, order_of);
        next.insert(behind, std::move(*row));
    }
    rows_ = std::move(next);
}

}  // namespace havn::link
