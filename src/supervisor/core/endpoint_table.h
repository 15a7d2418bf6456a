// The endpoints of all services as the gateway is to have them: every wanted service, and of each the
// instances that are ready, in the order of their numbers.
//
// Changes gather until `settle`, which takes them in as one new version. What it costs follows from what
// joined and left, not from how many there are.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "contract/link.h"

namespace havn::supervisor {

using link::Endpoint;
using link::Endpoints;

class EndpointTable {
  public:
    // A service of that name shall be there, maybe without an endpoint; or need not any more.
    void want(const std::string& service);
    void unwant(const std::string& service);

    void join(const std::string& service, Endpoint endpoint);
    void leave(const std::string& service, Endpoint endpoint);

    // True when the table became another, of the next version.
    bool settle();

    const Endpoints& endpoints() const { return endpoints_; }
    void continue_from(std::uint64_t version) { endpoints_.version = version; }

  private:
    struct Change {
        std::string service;
        Endpoint endpoint;
        bool joins;
    };

    Endpoints endpoints_;
    std::set<std::string> wanted_;
    std::vector<Change> changes_;
    bool services_changed_ = false;
};

}  // namespace havn::supervisor
