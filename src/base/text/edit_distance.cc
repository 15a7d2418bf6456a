#include "base/text/edit_distance.h"

#include <algorithm>
#include <vector>

namespace havn {

// The table of Damerau's distance (optimal string alignment), of which the last three rows are kept.
std::size_t edit_distance(std::string_view from, std::string_view to, std::size_t limit) {
    if (from.size() > to.size() + limit || to.size() > from.size() + limit) return limit + 1;
    std::vector<std::size_t> before, last(to.size() + 1), row(to.size() + 1);
    for (std::size_t j = 0; j <= to.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= from.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= to.size(); ++j) {
            const std::size_t replace = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
            row[j] = std::min({replace, last[j] + 1, row[j - 1] + 1});
            const bool swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before = last;
        last = row;
    }
    return std::min(last[to.size()], limit + 1);
}

}  // namespace havn
