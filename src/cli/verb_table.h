// The verbs of the command line: how each is called, what it does in half a line, and in full. The overview,
// `havn help VERB`, the completion of shells and the parser of the command line all read this table.
#pragma once

#include <span>
#include <string_view>

namespace havn::cli {

struct VerbEntry {
    std::string_view name;
    std::string_view summary;      // for the overview
    std::string_view explanation;  // for the verb's own help
};

// In the order of the overview. The table lives as long as the process.
std::span<const VerbEntry> verb_table();

// The entry of a verb that there is.
const VerbEntry& verb_entry(std::string_view name);

}  // namespace havn::cli
