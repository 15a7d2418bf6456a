#include "control/shell/metrics_listeners.h"

namespace havn::control {

namespace {

// Of one address. Who holds all its connections keeps others from it for as long as he goes on, no more.
constexpr rpc::Server::Limits limits{.body_bytes_max = 0,
                                     .connections_max = 16,
                                     .request_timeout = seconds(20),
                                     .answer_timeout = seconds(20)};

}  // namespace

Result<> MetricsListeners::replace(const link::Listeners& listeners, std::vector<io::Fd> descriptors) {
    if (listeners.entries.size() != descriptors.size()) {
        return fail(Error::Kind::invalid, "a 'listeners' message without one descriptor for each");
    }
    std::map<std::string, std::unique_ptr<rpc::Server>> before = std::exchange(servers_, {});
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
        const std::string& address = listeners.entries[i].address;
        if (auto known = before.extract(address); !known.empty()) {
            servers_.insert(std::move(known));
            continue;
        }
        auto server = std::make_unique<rpc::Server>(executor_, limits);
        server->route("GET", "/metrics", metrics_);
        if (Result<> served = server->serve_everybody(std::move(descriptors[i])); !served) return served;
        servers_[address] = std::move(server);
    }
    return {};
}

}  // namespace havn::control
