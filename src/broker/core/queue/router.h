// Which queues a message goes to: bindings, exchange-to-exchange bindings, alternate exchanges.
//
// Answers are kept by exchange and routing key until the topology changes. Only headers exchanges, whose
// answer depends on the message, are asked every time.
//
// A router belongs to its virtual host. The queues and exchanges of a Route belong to that as well, which
// calls topology_changed() whenever one of them comes or goes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/queue/exchange.h"
#include "wire/amqp/types.h"

namespace havn::broker {

class Vhost;

struct Route {
    Exchange* exchange = nullptr;  // null: no such exchange
    std::vector<Queue*> queues;    // each once
};

class Router {
  public:
    explicit Router(Vhost& vhost) : vhost_(vhost), slots_(slot_count) {}

    // Valid until the next call or topology change.
    const Route& find(std::string_view exchange, std::string_view routing_key, amqp::Table headers);
    void topology_changed() { ++version_; }

  private:
    struct Slot {
        std::uint64_t version = 0;
        std::string exchange, routing_key;
        Route route;
    };
    static constexpr std::size_t slot_count = 512;

    void resolve(Route& route, std::string_view routing_key, amqp::Table headers);
    void add_queue(Route& route, Queue& queue);

    Vhost& vhost_;
    std::vector<Slot> slots_;
    Route uncached_;
    std::uint64_t version_ = 1;
    std::uint64_t mark_ = 0;  // of this walk: queues already added
    bool saw_headers_ = false;
    std::vector<Exchange*> walk_;  // exchanges of this walk, each once
    std::vector<Binding*> found_;
};

}  // namespace havn::broker
