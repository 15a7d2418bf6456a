// Which route a request takes.
//
// An exact host is preferred to a wildcard ("*.example", the longest), that to any host; case and dots at the
// end of a host do not count. Within a host the longest path wins, matched on whole segments of the path's
// normal form (path.h): "/api" covers "/api", "/%61pi/x" and "/x/../api", never "/apix".
//
// No spelling passes by a rule: a path that some upstreams read in another way (%2F, a backslash, `;`, ".."
// left alone) is served only when each reading falls under the same route, or under a shorter one that leads
// to the same place and takes the method too. Otherwise, and when it holds a malformed escape or an escaped
// NUL, it is refused: 400.
//
// A route without methods takes all of them, one to a queue POST only. HEAD follows GET where a service
// answers. OPTIONS is answered here (204 with Allow), unless a route of the path names it or takes all: then
// the service answers it, as CORS wants it. Any other method of a known path is 405.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contract/gateway.h"

namespace havn::gateway {

class RouteTable {
  public:
    // `routes` must outlive the table.
    explicit RouteTable(std::span<const Route> routes);

    enum class Verdict : std::uint8_t { served, no_route, wrong_method, options, refused };
    struct Match {
        Verdict verdict = Verdict::no_route;
        const Route* route = nullptr;  // null: no_route, refused. Otherwise the one whose path matched
        std::string allow;             // of wrong_method and options: the value of Allow
        std::string_view why;          // of refused: completes "the request was refused: …"
    };
    // `host` may carry a port; `target` a query.
    Match find(std::string_view host, std::string_view target, std::string_view method) const;

  private:
    struct Entry {
        std::string path;  // in normal form, without the slash at its end
        const Route* route = nullptr;
    };
    struct Host {
        std::string name;  // lower case; of a wildcard without the '*'
        bool wildcard = false;
        std::vector<Entry> entries;  // longest path first
    };
    using Entries = std::span<const Entry>;

    Match match(std::string_view name, std::string_view path, std::string_view method) const;
    Entries entries_of(std::string_view name, std::string_view path) const;
    static bool covers(const Host& host, std::string_view name);

    std::vector<Host> hosts_;  // in order of preference
};

}  // namespace havn::gateway
