#include "gateway/core/policy/route_table.h"

#include <gtest/gtest.h>

#include <random>

#include "gateway/core/policy/path.h"

namespace havn::gateway {
namespace {

using Verdict = RouteTable::Verdict;

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
    EXPECT_EQ(match.verdict, Verdict::wrong_method);
    EXPECT_EQ(match.route, &routes[1]);
    EXPECT_EQ(match.allow, "POST, PUT");
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
    EXPECT_EQ(match.verdict, Verdict::no_route);
    EXPECT_EQ(match.route, nullptr);
}

Route queue(std::string path, std::vector<std::string> methods = {}) {
    Route made = route("", std::move(path), std::move(methods));
    made.service.clear();
    made.queue = "q";
    return made;
}

Route to(std::string service, std::string path, std::vector<std::string> methods = {}) {
    Route made = route("", std::move(path), std::move(methods));
    made.service = std::move(service);
    return made;
}

TEST(RouteTable, head_follows_get_and_options_is_answered_for_the_path) {
    const std::vector<Route> routes{to("web", "/read", {"GET"}),
                                    queue("/read", {"PUT"}),
                                    to("web", "/all"),
                                    to("web", "/cors", {"OPTIONS", "POST"}),
                                    queue("/job"),
                                    queue("/get", {"GET"})};
    const RouteTable table(routes);
    EXPECT_EQ(table.find("h", "/read", "HEAD").route, &routes[0]);
    EXPECT_EQ(table.find("h", "/read", "HEAD").verdict, Verdict::served);
    EXPECT_EQ(table.find("h", "/read", "OPTIONS").verdict, Verdict::options);
    EXPECT_EQ(table.find("h", "/read", "OPTIONS").allow, "GET, HEAD, PUT");
    EXPECT_EQ(table.find("h", "/read", "DELETE").verdict, Verdict::wrong_method);
    EXPECT_EQ(table.find("h", "/all", "OPTIONS").verdict, Verdict::served);
    EXPECT_EQ(table.find("h", "/cors", "OPTIONS").verdict, Verdict::served);
    EXPECT_EQ(table.find("h", "/cors", "HEAD").verdict, Verdict::wrong_method);
    EXPECT_EQ(table.find("h", "/job", "OPTIONS").verdict, Verdict::options);
    // A crawler's GET or HEAD is no order.
    EXPECT_EQ(table.find("h", "/job", "GET").verdict, Verdict::wrong_method);
    EXPECT_EQ(table.find("h", "/job", "HEAD").allow, "POST");
    EXPECT_EQ(table.find("h", "/job", "POST").verdict, Verdict::served);
    EXPECT_EQ(table.find("h", "/get", "HEAD").verdict, Verdict::wrong_method);
}

TEST(RouteTable, no_spelling_of_a_path_passes_by_its_rule) {
    const std::vector<Route> routes{to("web", "/"), to("web", "/admin", {"POST"})};
    const RouteTable table(routes);
    for (const std::string path :
         {"/admin", "/admin/", "//admin", "///admin", "/./admin", "/x/../admin", "/../admin", "/%61dmin",
          "/%61%64%6D%69%6e", "/admin/x/..", "/admin/.", "/x/%2e%2e/admin", "/x/.%2E/admin", "/%2e/admin",
          "/x//../admin", "/admin?x=%", "/./%61dmin//"}) {
        EXPECT_EQ(table.find("h", path, "GET").verdict, Verdict::wrong_method) << path;
        EXPECT_EQ(table.find("h", path, "POST").route, &routes[1]) << path;
    }
    for (const std::string path : {"/%2fadmin",
                                   "/%2Fadmin",
                                   "/admin%2f",
                                   "/admin%2fx",
                                   "/admin;x",
                                   "/admin;x=1/y",
                                   "/;/admin",
                                   "/x/..;/admin",
                                   "/x%2f..%2fadmin",
                                   "/x/..%2fadmin",
                                   "/x/%2e%2e%2fadmin",
                                   "/\\admin",
                                   "/\\\\admin",
                                   "/%5cadmin",
                                   "/admin\\x",
                                   "/admin%5Cx",
                                   "/admin%3bx",
                                   "/admin%3Fx",
                                   "/admin%23x",
                                   "/x\\..\\admin",
                                   "/admin/../x",
                                   "/admin/%2e%2e/x",
                                   "/admin//../x",
                                   "/x/..;a=b/admin",
                                   "/admin%00",
                                   "/admin%",
                                   "/admin%zz",
                                   "/%",
                                   "/x%0"}) {
        EXPECT_EQ(table.find("h", path, "GET").verdict, Verdict::refused) << path;
        EXPECT_FALSE(table.find("h", path, "GET").why.empty()) << path;
    }
    // Another path, in every reading; escapes are decoded once.
    for (const std::string path : {"/Admin", "/adminx", "/%2561dmin", "/x/admin", "/admi%6e%6e", "/x%2fadmin",
                                   "/x;admin", "/a\\b", "/x?/../admin", "/?/admin"}) {
        EXPECT_EQ(table.find("h", path, "GET").route, &routes[0]) << path;
        EXPECT_EQ(table.find("h", path, "GET").verdict, Verdict::served) << path;
    }
}

TEST(RouteTable, no_spelling_reaches_a_service_beyond_what_its_routes_show) {
    const std::vector<Route> routes{to("web", "/"), to("api", "/api"), to("api", "/api/v1", {"GET"})};
    const RouteTable table(routes);
    // The service of /api may read any of these as /internal.
    for (const std::string path : {"/internal/../api/x", "/internal//../../api", "/api/..%2finternal",
                                   "/api/..;/internal", "/api/..\\internal"}) {
        EXPECT_EQ(table.find("h", path, "GET").verdict, Verdict::refused) << path;
    }
    // Within one route, or from a longer one to a shorter one of the same service, nothing is passed by.
    for (const std::string path : {"/api/x/../y", "/api/a%2Fb", "/api/a;v=1/b", "/api//x", "//api/x",
                                   "/api/x/../v1/y", "/a%2Fb", "/group%2fproject;x"}) {
        EXPECT_EQ(table.find("h", path, "GET").verdict, Verdict::served) << path;
    }
    EXPECT_EQ(table.find("h", "/api/x/../v1", "POST").verdict, Verdict::wrong_method);
}

TEST(RouteTable, a_host_is_known_by_any_spelling_of_its_name) {
    const std::vector<Route> routes{route("", "/"), route("api.example.com", "/", {"POST"}),
                                    route("*.example.com", "/x", {"POST"})};
    const RouteTable table(routes);
    for (const std::string host : {"api.example.com", "API.Example.COM", "api.example.com.",
                                   "api.example.com.:80", "api.example.com:", "api.example.com.."}) {
        EXPECT_EQ(table.find(host, "/", "GET").verdict, Verdict::wrong_method) << host;
    }
    EXPECT_EQ(table.find("b.example.com.", "/x", "GET").verdict, Verdict::wrong_method);
    EXPECT_EQ(table.find("example.com.", "/x", "GET").verdict, Verdict::served);
}

TEST(RouteTable, any_spelling_matches_as_its_normal_form_or_is_refused) {
    const std::vector<Route> routes{to("web", "/"), to("web", "/admin", {"POST"}), to("api", "/a/b"),
                                    to("web", "/a", {"GET"}), queue("/a/q")};
    const RouteTable table(routes);
    static constexpr std::string_view pieces[] = {"/",   "//",    ".",   "..",  "a",   "b",
                                                  "q",   "admin", "%2f", "%5c", ";",   "%2e",
                                                  "%61", "/..",   "/./", "/a",  "%3b", "/b"};
    std::minstd_rand random(7);
    for (int i = 0; i < 20'000; ++i) {
        std::string path = "/";
        for (auto left = random() % 8; left > 0; --left) path += pieces[random() % std::size(pieces)];
        for (const std::string method : {"GET", "POST"}) {
            const RouteTable::Match spelled = table.find("h", path, method);
            if (spelled.verdict == Verdict::refused) continue;
            const RouteTable::Match normal = table.find("h", normal_path(path).value(), method);
            // A normal form may hold what is refused, an escaped slash say, but never takes another route.
            if (normal.verdict == Verdict::refused) continue;
            ASSERT_EQ(spelled.route, normal.route) << path;
            ASSERT_EQ(spelled.verdict, normal.verdict) << path;
        }
    }
}

}  // namespace
}  // namespace havn::gateway
