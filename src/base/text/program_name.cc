#include "base/text/program_name.h"

#include <algorithm>

#include "base/text/ascii.h"

namespace havn {

bool is_program_name(std::string_view text) {
    const auto inner = [](char c) { return is_ascii_lower(c) || is_ascii_digit(c) || c == '-' || c == '_'; };
    return !text.empty() && text.size() <= 63 && text[0] != '-' && text[0] != '_' &&
           std::ranges::all_of(text, inner);
}

bool is_part_name(std::string_view name) {
    static constexpr std::string_view parts[] = {"supervisor", "keeper", "gateway", "broker", "control"};
    return std::ranges::find(parts, name) != std::end(parts);
}

}  // namespace havn
