// Paths as texts: nothing is looked up, links are not followed.
#pragma once

#include <string>
#include <string_view>

namespace havn {

// `path` as seen from `folder` (an absolute one stands for itself), without ".", "..", double or trailing
// slashes. `folder` is absolute.
std::string path_from(std::string_view folder, std::string_view path);

// The last name of a path: "shop" of "/srv/shop" and of "/srv/shop/"; empty for "/".
std::string last_name(std::string_view path);

}  // namespace havn
