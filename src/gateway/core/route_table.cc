#include "gateway/core/route_table.h"

#include <algorithm>

#include "wire/http1/tables.h"

namespace havn::gateway {
namespace {

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    return result;
}

// "/api/" and "/api" are the same prefix; "/" is the empty one.
std::string_view trimmed(std::string_view path) {
    while (path.ends_with('/')) path.remove_suffix(1);
    return path;
}

bool path_matches(std::string_view prefix, std::string_view path) {
    prefix = trimmed(prefix);
    return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

bool method_allowed(const Route& route, std::string_view method) {
    if (route.methods.empty()) return true;
    return std::ranges::find(route.methods, method) != route.methods.end();
}

std::string_view without_port(std::string_view host) {
    if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
    return host.substr(0, host.find(':'));
}

}  // namespace

RouteTable::RouteTable(std::span<const Route> routes) {
    for (const Route& route : routes) {
        const bool wildcard = route.host.starts_with("*.");
        const std::string name = lower(wildcard ? std::string_view(route.host).substr(1) : route.host);
        auto host = std::ranges::find_if(
            hosts_, [&](const Host& known) { return known.name == name && known.wildcard == wildcard; });
        if (host == hosts_.end()) host = hosts_.insert(host, Host{name, wildcard, {}});
        host->routes.push_back(&route);
    }
    const auto rank = [](const Host& host) { return host.name.empty() ? 2 : host.wildcard ? 1 : 0; };
    std::ranges::sort(hosts_, [&](const Host& a, const Host& b) {
        return rank(a) != rank(b) ? rank(a) < rank(b) : a.name.size() > b.name.size();
    });
    for (Host& host : hosts_) {
        std::ranges::sort(host.routes, [](const Route* a, const Route* b) {
            const std::size_t a_size = trimmed(a->path).size(), b_size = trimmed(b->path).size();
            return a_size != b_size ? a_size > b_size : a < b;  // same path: in the order given
        });
    }
}

bool RouteTable::covers(const Host& host, std::string_view name) {
    if (host.name.empty()) return true;
    if (!host.wildcard) return http1::equal_ignoring_case(host.name, name);
    return name.size() > host.name.size() &&
           http1::equal_ignoring_case(host.name, name.substr(name.size() - host.name.size()));
}

RouteTable::Match RouteTable::find(std::string_view host, std::string_view target,
                                   std::string_view method) const {
    std::string_view path = target.substr(0, target.find('?'));
    if (path == "*") path = "/";
    const std::string_view name = without_port(host);
    Match match;
    for (const Host& candidate : hosts_) {
        if (!covers(candidate, name)) continue;
        match.route = find_in(candidate, path, method, match);
        if (match.route || match.wrong_method) return match;
    }
    return match;
}

const Route* RouteTable::find_in(const Host& host, std::string_view path, std::string_view method,
                                 Match& match) const {
    for (const Route* route : host.routes) {
        // Shorter paths are no way around the methods of the longest that matches.
        if (match.wrong_method && trimmed(match.wrong_method->path).size() != trimmed(route->path).size())
            break;
        if (!path_matches(route->path, path)) continue;
        if (method_allowed(*route, method)) {
            match.wrong_method = nullptr;
            return route;
        }
        match.wrong_method = route;
    }
    return nullptr;
}

std::string RouteTable::allowed(const Route& route) {
    std::string list;
    for (const std::string& method : route.methods) {
        if (!list.empty()) list += ", ";
        list += method;
    }
    return list;
}

}  // namespace havn::gateway
