#include "base/text/path.h"

#include <algorithm>
#include <vector>

namespace havn {

std::string path_from(std::string_view folder, std::string_view path) {
    std::vector<std::string_view> names;
    const auto add = [&names](std::string_view rest) {
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find('/'), rest.size());
            const std::string_view name = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            if (name.empty() || name == ".") continue;
            if (name != "..") {
                names.push_back(name);
            } else if (!names.empty()) {
                names.pop_back();
            }
        }
    };
    if (!path.starts_with('/')) add(folder);
    add(path);
    std::string joined;
    for (const std::string_view name : names) joined.append("/").append(name);
    return joined.empty() ? "/" : joined;
}

std::string last_name(std::string_view path) {
    while (path.ends_with('/')) path.remove_suffix(1);
    return std::string(path.substr(path.rfind('/') + 1));
}

}  // namespace havn
