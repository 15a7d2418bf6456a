#include "gateway/core/policy/route_table.h"

#include <algorithm>

#include "base/text/ascii.h"
#include "gateway/core/policy/path.h"
#include "wire/http1/tables.h"

namespace havn::gateway {
namespace {

std::string_view without_end(std::string_view text, char c) {
    while (text.ends_with(c)) text.remove_suffix(1);
    return text;
}

// "/api/" and "/api" are the same prefix; "/" is the empty one.
bool covers_path(std::string_view prefix, std::string_view path) {
    return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

bool takes(const Route& route, std::string_view method) {
    const auto named = [&](std::string_view wanted) {
        return std::ranges::find(route.methods, wanted) != route.methods.end();
    };
    if (route.methods.empty()) return route.queue.empty() || method == "POST";
    return named(method) || (method == "HEAD" && route.queue.empty() && named("GET"));
}

// The name a rule is about: "api.example." and "api.example" are one host.
std::string_view host_name(std::string_view host) {
    if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
    return without_end(host.substr(0, host.find(':')), '.');
}

void list(std::string& methods, std::string_view method) {
    if (!methods.empty()) methods += ", ";
    methods += method;
}

}  // namespace

RouteTable::RouteTable(std::span<const Route> routes) {
    for (const Route& route : routes) {
        const bool wildcard = route.host.starts_with("*.");
        const std::string name = ascii_lower(wildcard ? std::string_view(route.host).substr(1) : route.host);
        auto host = std::ranges::find_if(
            hosts_, [&](const Host& known) { return known.name == name && known.wildcard == wildcard; });
        if (host == hosts_.end()) host = hosts_.insert(host, Host{name, wildcard, {}});
        const std::string path = normal_path(route.path).value_or(route.path);
        host->entries.push_back({std::string(without_end(path, '/')), &route});
    }
    const auto rank = [](const Host& host) { return host.name.empty() ? 2 : host.wildcard ? 1 : 0; };
    std::ranges::sort(hosts_, [&](const Host& a, const Host& b) {
        return rank(a) != rank(b) ? rank(a) < rank(b) : a.name.size() > b.name.size();
    });
    for (Host& host : hosts_) {
        std::ranges::sort(host.entries, [](const Entry& a, const Entry& b) {
            if (a.path.size() != b.path.size()) return a.path.size() > b.path.size();
            return a.path != b.path ? a.path < b.path : a.route < b.route;  // same path: in the order given
        });
    }
}

bool RouteTable::covers(const Host& host, std::string_view name) {
    if (host.name.empty()) return true;
    if (!host.wildcard) return http1::equal_ignoring_case(host.name, name);
    return name.size() > host.name.size() &&
           http1::equal_ignoring_case(host.name, name.substr(name.size() - host.name.size()));
}

// The routes of the longest path that covers this one, in the best host that has any.
RouteTable::Entries RouteTable::entries_of(std::string_view name, std::string_view path) const {
    for (const Host& host : hosts_) {
        if (!covers(host, name)) continue;
        const Entries all(host.entries);
        const auto first =
            std::ranges::find_if(all, [&](const Entry& entry) { return covers_path(entry.path, path); });
        if (first == all.end()) continue;
        const auto last =
            std::find_if(first, all.end(), [&](const Entry& entry) { return entry.path != first->path; });
        return {first, last};
    }
    return {};
}

RouteTable::Match RouteTable::match(std::string_view name, std::string_view path,
                                    std::string_view method) const {
    const Entries entries = entries_of(name, path);
    if (entries.empty()) return {};
    Match match{Verdict::wrong_method, entries.front().route, {}, {}};
    for (const Entry& entry : entries) {
        if (takes(*entry.route, method)) return {Verdict::served, entry.route, {}, {}};
        for (const std::string& taken : entry.route->methods) {
            list(match.allow, taken);
            if (taken == "GET" && takes(*entry.route, "HEAD")) list(match.allow, "HEAD");
        }
        if (entry.route->methods.empty()) list(match.allow, "POST");
    }
    if (method == "OPTIONS") match.verdict = Verdict::options;
    return match;
}

RouteTable::Match RouteTable::find(std::string_view host, std::string_view target,
                                   std::string_view method) const {
    std::string_view path = target.substr(0, target.find('?'));
    if (path == "*") path = "/";
    const std::string_view name = host_name(host);
    if (is_plain_path(path)) return match(name, path, method);

    const auto normal = normal_path(path);
    if (!normal) return {Verdict::refused, nullptr, {}, normal.error()};
    Match found = match(name, *normal, method);
    if (found.verdict != Verdict::served) return found;
    const Route& route = *found.route;
    const auto rank = [&](std::string_view covered) { return entries_of(name, covered).front().path; };
    for (const std::string& reading : other_readings(path)) {
        const Match other = match(name, reading, method);
        if (other.route == &route) continue;
        const bool same_place = other.verdict == Verdict::served && other.route->service == route.service &&
                                other.route->queue == route.queue;
        if (!same_place || !covers_path(rank(reading), rank(*normal))) {
            return {Verdict::refused, nullptr, {}, "the path can be read as one of another route"};
        }
    }
    return found;
}

}  // namespace havn::gateway
