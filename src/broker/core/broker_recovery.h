// What the journal tells at start, put back into virtual hosts: topology, then every unsettled message.
//
// A virtual host that the journal knows and the configuration does not is there all the same, unserved.
// Records of the form before version 3 of the log are collected; rewrite_outdated() writes them anew once the
// journal takes writes. Belongs to the broker, as all that it fills does.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/core/message/journal.h"
#include "broker/core/queue/topology_records.h"
#include "broker/core/queue/vhost.h"

namespace havn::broker {

class BrokerRecovery final : public RecoverySink {
  public:
    using Vhosts = NameMap<std::unique_ptr<Vhost>>;

    BrokerRecovery(Vhosts& vhosts, const VhostContext& context) : vhosts_(vhosts), context_(context) {}

    void on_topology(std::string_view key, std::string_view value) override;
    void on_topology_complete() override;
    bool on_delivery(QueueId queue, DeliveryId delivery, std::uint32_t offset, const Message::Parts& message,
                     const History& history) override;

    void rewrite_outdated();

  private:
    Vhost& vhost(std::string_view name);
    void recover_queue(const topology::Key& key, std::string_view value);

    Vhosts& vhosts_;
    VhostContext context_;
    std::vector<topology::BindingRecord> bindings_;              // until both their ends are there
    std::vector<std::pair<std::string, std::string>> outdated_;  // keys and values
};

}  // namespace havn::broker
