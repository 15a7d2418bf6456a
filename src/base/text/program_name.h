// How programs may be called. A name becomes the name of a log file, of a variable and of a listener, so one
// form holds for the manifest, for what control tells the supervisor and for what the supervisor kept.
#pragma once

#include <string_view>

namespace havn {

// [a-z0-9][a-z0-9_-]{0,62}
inline constexpr std::string_view program_name_form =
    "lower-case letters, digits, - and _, beginning with a letter or digit, at most 63";
bool is_program_name(std::string_view text);

// Whether it is one of the platform's own processes.
inline constexpr std::string_view part_names_form =
    "supervisor, keeper, gateway, broker and control are parts of the platform";
bool is_part_name(std::string_view name);

}  // namespace havn
