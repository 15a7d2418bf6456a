// What one thread is told to do at present: the tables of the configuration in force, the routes of services'
// own listeners, and whether the thread is to end.
//
// A request holds on to the tables it began with; everybody else asks here each time.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gateway/core/tables.h"
#include "wire/http1/head.h"

namespace havn::gateway {

class Settings {
  public:
    // Both outlive it.
    Settings(Clusters& clusters, Metrics& metrics);

    void set(std::shared_ptr<const Config> config);

    const Tables& tables() const { return *tables_; }
    const std::shared_ptr<const Tables>& shared_tables() const { return tables_; }
    const Limits& limits() const { return tables_->config->limits; }
    bool is_trusted(const IpAddress& address) const { return contains_any(tables_->trusted, address); }

    // The route of everything at a service's own address. It stays for as long as the thread.
    const RouteEntry* service_route(const std::string& name);

    // Room for the fields of one head while it is parsed. Whoever parses next uses the same room.
    std::span<http1::Header> header_storage() { return headers_; }

    bool stopping() const { return stopping_; }
    void stop() { stopping_ = true; }

  private:
    struct ServiceRoute {
        Route route;
        RouteEntry entry;
        void take_deadlines();
    };

    Clusters& clusters_;
    Metrics& metrics_;
    std::shared_ptr<const Tables> tables_;
    std::map<std::string, std::unique_ptr<ServiceRoute>> service_routes_;
    std::vector<http1::Header> headers_;
    bool stopping_ = false;
};

}  // namespace havn::gateway
