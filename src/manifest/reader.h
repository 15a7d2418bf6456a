// From a tree to a Manifest, key by key along the table. What needs more than one key to judge is check.h's.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "manifest/manifest.h"
#include "manifest/syntax/tree.h"
#include "manifest/values.h"

namespace havn::manifest {

// Where things were written: "service.web.command" is the place of its value, "service.web" of the table's
// name. What was left out has no place.
class Places {
  public:
    void set(const std::string& path, Place place) { places_.emplace(path, std::move(place)); }
    bool has(const std::string& path) const { return places_.contains(path); }
    // Of the path, else of the closest table around it.
    Place of(std::string_view path) const;

  private:
    std::map<std::string, Place, std::less<>> places_;
};

// A manifest on its way: filled by the readers, judged by check().
struct Draft {
    std::string file;  // for what has no place of its own
    Manifest manifest;
    Places places;
    std::vector<Diagnostic> diagnostics;

    void error(Place place, std::string message, std::string hint = {});
    void warn(Place place, std::string message, std::string hint = {});
    bool has_errors() const;
    void report(Problem problem) {
        error(std::move(problem.place), std::move(problem.message), std::move(problem.hint));
    }
};

void read_tree(const Node& root, Draft& draft);

// A path in the tree; the separator is one that names do not have, unlike the dot.
std::string join_path(std::string_view path, std::string_view name);
template <class... More>
std::string join_path(std::string_view path, std::string_view name, std::string_view next, More... more) {
    return join_path(join_path(path, name), next, more...);
}

}  // namespace havn::manifest
