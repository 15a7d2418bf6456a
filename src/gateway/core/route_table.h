// Which route a request takes.
//
// An exact host is preferred to a wildcard ("*.example", the longest), that to any host; within a host the
// longest path wins, matched on whole segments of the bytes that are forwarded: "/api" covers "/api" and
// "/api/x", never "/apix". When the path is known and the method is not among its methods, the answer is 405.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/core/config.h"

namespace havn::gateway {

class RouteTable {
  public:
    // `routes` must outlive the table.
    explicit RouteTable(std::span<const Route> routes);

    struct Match {
        const Route* route = nullptr;         // null: no path matches (404), or `wrong_method`
        const Route* wrong_method = nullptr;  // the route whose path matched
    };
    // `host` may carry a port; `target` a query.
    Match find(std::string_view host, std::string_view target, std::string_view method) const;

    // The value of Allow for a 405.
    static std::string allowed(const Route& route);

  private:
    struct Host {
        std::string name;  // lower case; of a wildcard without the '*'
        bool wildcard = false;
        std::vector<const Route*> routes;  // longest path first
    };
    const Route* find_in(const Host& host, std::string_view path, std::string_view method,
                         Match& match) const;
    static bool covers(const Host& host, std::string_view name);

    std::vector<Host> hosts_;  // in order of preference
};

}  // namespace havn::gateway
