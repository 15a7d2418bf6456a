#include "gateway/core/route_table.h"

#include <gtest/gtest.h>

namespace havn::gateway {
namespace {

Route route(std::string host, std::string path, std::vector<std::string> methods = {}) {
    Route made;
    made.host = std::move(host);
    made.path = std::move(path);
    made.methods = std::move(methods);
    made.service = made.host + made.path;
    return made;
}

TEST(RouteTable, the_longest_path_of_the_best_host_wins_on_whole_segments) {
    const std::vector<Route> routes{route("", "/"),        route("", "/api"),        route("", "/api/v1/"),
                                    route("shop.no", "/"), route("shop.no", "/api"), route("*.shop.no", "/"),
                                    route("*.no", "/"),    route("only.no", "/a")};
    const RouteTable table(routes);
    const std::vector<std::tuple<std::string, std::string, std::string>> cases{
        {"x", "/", "/"},
        {"x", "/api", "/api"},
        {"x", "/api/", "/api"},
        {"x", "/api?x=/api/v1", "/api"},
        {"x", "/apix", "/"},
        {"x", "/api/v1", "/api/v1/"},
        {"x", "/api/v1/z?q", "/api/v1/"},
        {"x", "/api/v12", "/api"},
        {"x", "/API", "/"},
        {"x", "*", "/"},
        {"shop.no", "/api/v1/z", "shop.no/api"},
        {"SHOP.no:8080", "/z", "shop.no/"},
        {"a.shop.no", "/api", "*.shop.no/"},
        {"b.a.shop.no", "/", "*.shop.no/"},
        {"other.no", "/", "*.no/"},
        {"no", "/", "/"},
        {"only.no", "/a/b", "only.no/a"},
        {"only.no", "/b", "*.no/"},
        {"[::1]:80", "/api", "/api"},
    };
    for (const auto& [host, target, expected] : cases) {
        const RouteTable::Match match = table.find(host, target, "GET");
        ASSERT_NE(match.route, nullptr) << host << target;
        EXPECT_EQ(match.route->service, expected) << host << target;
    }
}

TEST(RouteTable, a_known_path_with_another_method_is_405_and_no_way_around) {
    const std::vector<Route> routes{route("", "/"), route("", "/buy", {"POST", "PUT"})};
    const RouteTable table(routes);
    const RouteTable::Match match = table.find("h", "/buy/x", "GET");
    EXPECT_EQ(match.route, nullptr);
    ASSERT_NE(match.wrong_method, nullptr);
    EXPECT_EQ(RouteTable::allowed(*match.wrong_method), "POST, PUT");
    EXPECT_EQ(table.find("h", "/buy", "PUT").route->path, "/buy");
}

TEST(RouteTable, the_same_path_may_have_a_route_per_method) {
    const std::vector<Route> routes{route("", "/buy", {"GET"}), route("", "/buy", {"POST"})};
    const RouteTable table(routes);
    EXPECT_EQ(table.find("h", "/buy", "POST").route, &routes[1]);
    EXPECT_EQ(table.find("h", "/buy", "GET").route, &routes[0]);
}

TEST(RouteTable, nothing_matches_when_no_path_does) {
    const std::vector<Route> routes{route("", "/a")};
    const RouteTable::Match match = RouteTable(routes).find("h", "/", "GET");
    EXPECT_EQ(match.route, nullptr);
    EXPECT_EQ(match.wrong_method, nullptr);
}

}  // namespace
}  // namespace havn::gateway
