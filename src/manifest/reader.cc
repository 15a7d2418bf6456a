#include "manifest/reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text/ascii.h"
#include "base/text/program_name.h"
#include "manifest/names.h"
#include "manifest/syntax/forms.h"

namespace havn::manifest {
namespace {

constexpr char separator = '\x1f';

// How a section is called in messages: "[service.web]", "[route.\"/\"]", "the top of the file".
std::string shown(std::string_view path) {
    if (path.empty()) return "the top of the file";
    std::string text;
    for (const std::string& part : split(path, separator)) {
        if (!text.empty()) text += '.';
        text += is_program_name(part) ? part : toml_text(part);
    }
    return "[" + text + "]";
}

std::string known_names(std::string_view pattern) {
    std::vector<std::string_view> names;
    for (const Key* key : keys_of(pattern)) names.push_back(key->name);
    for (const Section* child : children(pattern)) names.push_back(child->key);
    return fmt::format("{}", fmt::join(names, ", "));
}

// Splits a route's key and writes it the one way it compares: host in lower case, no slash at the end.
std::optional<Problem> split_route_key(Route& route, const Place& place) {
    const std::string key = route.key;
    const std::size_t slash = key.find('/');
    const auto bad = [&](std::string_view why, std::string hint) {
        return Problem{place, fmt::format("{} is no route: {}", toml_text(key), why), std::move(hint)};
    };
    if (key.contains("://")) return bad("it is /path or host/path, without http://", "leave the scheme out");
    if (slash == key.npos) {
        return bad("it is /path or host/path", is_host(key) && key.contains('.')
                                                   ? fmt::format("write [route.\"{}/\"]", key)
                                                   : fmt::format("write [route.\"/{}\"]", key));
    }
    route.host = ascii_lower(key.substr(0, slash));
    route.path = key.substr(slash);
    if (!route.host.empty() && !is_host(route.host)) {
        return bad("a host is a name such as shop.example or *.shop.example, without a port", "");
    }
    if (route.path.size() > 2 && route.path.ends_with("/*")) {
        return bad("a path has no *", fmt::format("write [route.\"{}\"]: it matches everything below as well",
                                                  key.substr(0, key.size() - 2)));
    }
    if (!is_route_path(route.path)) {
        return bad("a path begins with / and has no empty, . or .. segment, no space, ?, # or *", "");
    }
    if (!is_plainly_written_path(route.path)) {
        return bad("a path has no ; and no \\, and no escape but of bytes beyond ASCII",
                   "write it as it reads: requests are matched decoded");
    }
    if (route.path.size() > 1 && route.path.ends_with('/')) route.path.pop_back();
    route.key = route.host + route.path;
    return std::nullopt;
}

class Reader {
  public:
    explicit Reader(Draft& draft) : draft_(draft) {}

    void read_table(std::string_view pattern, Target target, const Node::Table& entries,
                    const std::string& path) {
        for (const Entry& entry : entries) read_entry(pattern, target, entry, path);
        check_applies(pattern, target, path);
    }

  private:
    void read_entry(std::string_view pattern, Target target, const Entry& entry, const std::string& path) {
        const std::string entry_path = join_path(path, entry.name);
        for (const Key* key : keys_of(pattern)) {
            if (key->name != entry.name) continue;
            draft_.places.set(entry_path, entry.node.place);
            if (std::optional<Problem> problem = read_value(*key, entry.node, key->slot(target))) {
                draft_.report(std::move(*problem));
            } else {
                warn_of_caveat(*key, entry);
            }
            return;
        }
        for (const Section* child : children(pattern)) {
            if (child->key == entry.name) return read_section(*child, target, entry, entry_path);
        }
        std::string hint = hint_for_unknown(pattern, entry.name);
        if (hint.empty()) hint = fmt::format("{} knows {}", shown(path), known_names(pattern));
        draft_.error(entry.place, fmt::format("{} has no key `{}`", shown(path), entry.name),
                     std::move(hint));
    }

    void read_section(const Section& child, Target parent, const Entry& entry, const std::string& path) {
        draft_.places.set(path, entry.place);
        const auto* entries = std::get_if<Node::Table>(&entry.node.value);
        if (!entries) {
            draft_.error(entry.node.place,
                         fmt::format("`{}` is {}, but must be a table", entry.name, found(entry.node)),
                         fmt::format("write {}", child.example));
            return;
        }
        if (!child.named) return read_table(child.pattern, child.open(parent, ""), *entries, path);
        for (const Entry& element : *entries) read_element(child, parent, element, path);
    }

    void read_element(const Section& child, Target parent, const Entry& element, const std::string& path) {
        const auto* entries = std::get_if<Node::Table>(&element.node.value);
        if (!entries) {
            draft_.places.set(join_path(path, element.name), element.place);
            draft_.error(element.place,
                         fmt::format("[{}] holds tables, but `{}` is {}", child.key, element.name,
                                     found(element.node)),
                         fmt::format("write {} and its keys below", child.example));
            return;
        }
        const Target target = child.open(parent, element.name);
        check_name(child, target, element);
        const Route* route = std::holds_alternative<Route*>(target) ? std::get<Route*>(target) : nullptr;
        const std::string element_path = join_path(path, route ? route->key : element.name);
        if (route && draft_.places.has(element_path)) {
            draft_.error(element.place, fmt::format("the route {} is there already", toml_text(route->key)),
                         fmt::format("see line {}", draft_.places.of(element_path).line));
            draft_.manifest.routes.pop_back();
            return;
        }
        draft_.places.set(element_path, element.place);
        read_table(child.pattern, target, *entries, element_path);
    }

    void check_name(const Section& child, Target target, const Entry& element) {
        if (auto* route = std::get_if<Route*>(&target)) {
            if (std::optional<Problem> problem = split_route_key(**route, element.place)) {
                draft_.report(std::move(*problem));
            }
            return;
        }
        const bool is_queue = std::holds_alternative<Queue*>(target);
        const std::string what = fmt::format("{} is no name for a {}", toml_text(element.name), child.noun);
        if (is_queue ? !is_queue_name(element.name) : !is_program_name(element.name)) {
            const std::string guess = ascii_lower(element.name);
            draft_.error(
                element.place, fmt::format("{}: {}", what, is_queue ? queue_form : program_name_form),
                !is_queue && is_program_name(guess) ? fmt::format("write [{}.{}]", child.key, guess) : "");
        } else if (!is_queue && is_part_name(element.name)) {
            draft_.error(element.place, fmt::format("{}: {}", what, part_names_form), "choose another name");
        }
    }

    void warn_of_caveat(const Key& key, const Entry& entry) {
        if (key.type == Type::choice || key.caveat.empty()) return;
        draft_.warn(entry.place, fmt::format("`{}` is {}", key.name, key.caveat));
    }

    // A key that was written, and says nothing where it stands.
    void check_applies(std::string_view pattern, Target target, const std::string& path) {
        if (const auto* route = std::get_if<Route*>(&target); route && !check_route_goes(**route, path)) {
            return;
        }
        for (const Key* key : keys_of(pattern)) {
            const std::string key_path = join_path(path, key->name);
            if (!key->applies || key->applies(target) || !draft_.places.has(key_path)) continue;
            draft_.error(draft_.places.of(key_path),
                         fmt::format("`{}` is only for {}", key->name, key->applies_to), "leave it out");
        }
    }

    // Exactly one of service and queue; what the other keys may be depends on it.
    bool check_route_goes(const Route& route, const std::string& path) {
        const Places& places = draft_.places;
        const std::string service = join_path(path, "service"), queue = join_path(path, "queue");
        const std::string fallback = join_path(path, "fallback");
        if (places.has(service) && places.has(queue)) {
            draft_.error(places.of(queue), "a route goes to a service or to a queue, not to both",
                         "leave out `service` or `queue`");
        } else if (!places.has(service) && !places.has(queue)) {
            draft_.error(places.of(path), fmt::format("the route {} goes nowhere", toml_text(route.key)),
                         "give it service = \"NAME\" or queue = \"NAME\"");
        } else if (places.has(queue) && places.has(fallback)) {
            draft_.error(places.of(fallback), "`fallback` is only for a route to a service", "leave it out");
        }
        return route.service.empty() != route.queue.empty();
    }

    Draft& draft_;
};

}  // namespace

Place Places::of(std::string_view path) const {
    while (true) {
        if (const auto at = places_.find(path); at != places_.end()) return at->second;
        const std::size_t end = path.rfind(separator);
        if (end == path.npos) return {};
        path = path.substr(0, end);
    }
}

void Draft::error(Place place, std::string message, std::string hint) {
    diagnostics.push_back({Diagnostic::Severity::error, std::move(place.file), place.line, place.column,
                           std::move(message), std::move(hint)});
}

void Draft::warn(Place place, std::string message, std::string hint) {
    diagnostics.push_back({Diagnostic::Severity::warning, std::move(place.file), place.line, place.column,
                           std::move(message), std::move(hint)});
}

bool Draft::has_errors() const {
    return std::ranges::any_of(diagnostics, [](const Diagnostic& diagnostic) {
        return diagnostic.severity == Diagnostic::Severity::error;
    });
}

void read_tree(const Node& root, Draft& draft) {
    const auto* entries = std::get_if<Node::Table>(&root.value);
    if (!entries) {
        return draft.error(root.place, "the manifest is " + found(root) + ", but must be a table");
    }
    Reader(draft).read_table("", &draft.manifest, *entries, "");
}

std::string join_path(std::string_view path, std::string_view name) {
    return path.empty() ? std::string(name) : fmt::format("{}{}{}", path, separator, name);
}

}  // namespace havn::manifest
