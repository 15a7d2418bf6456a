// Paths of any bytes against a few routes: a normal form is its own, and no spelling takes another route.
#include <cstdlib>
#include <string>
#include <vector>

#include "gateway/core/policy/path.h"
#include "gateway/core/policy/route_table.h"

using namespace havn::gateway;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

std::vector<Route> make_routes() {
    std::vector<Route> routes;
    const auto add = [&](std::string path, std::string service, std::vector<std::string> methods) {
        Route& route = routes.emplace_back();
        route.path = std::move(path);
        route.service = std::move(service);
        route.methods = std::move(methods);
    };
    add("/", "web", {});
    add("/a", "web", {"POST"});
    add("/a/b", "api", {"GET"});
    add("/c", "web", {"GET"});
    return routes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    static const std::vector<Route> routes = make_routes();
    static const RouteTable table(routes);
    const std::string path = "/" + std::string(reinterpret_cast<const char*>(data), size);
    const std::string_view before_query = std::string_view(path).substr(0, path.find('?'));
    const RouteTable::Match match = table.find("h", path, "GET");
    const auto normal = normal_path(before_query);
    if (!normal) {
        require(match.verdict == RouteTable::Verdict::refused);
        return 0;
    }
    require(normal_path(*normal) == normal);
    if (is_plain_path(before_query)) require(*normal == before_query);
    if (match.verdict == RouteTable::Verdict::refused) return 0;
    for (const std::string& reading : other_readings(before_query)) {
        const RouteTable::Match other = table.find("h", reading, "GET");
        if (match.verdict != RouteTable::Verdict::served || other.verdict == RouteTable::Verdict::refused) {
            continue;
        }
        require(other.verdict == RouteTable::Verdict::served && other.route->service == match.route->service);
    }
    return 0;
}
