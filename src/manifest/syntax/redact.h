// What is shown to people and written to logs has no secrets: the password of a URL is replaced by "***".
#pragma once

#include <string>
#include <string_view>

namespace havn::manifest {

inline constexpr std::string_view hidden = "***";

// Every "scheme://user:password@" in a text becomes "scheme://user:***@". Anything else is left as it is.
std::string redact_urls(std::string_view text);

// A line of a manifest, without the values of `env` and the passwords of URLs.
std::string redact_line(std::string_view line);

}  // namespace havn::manifest
