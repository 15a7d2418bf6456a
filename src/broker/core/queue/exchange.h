// An exchange and the bindings that lead away from it.
//
// An exchange belongs to its virtual host; it owns its bindings. Whatever a binding leads to, queue or
// exchange, knows it in `incoming`, and the virtual host removes it before its destination goes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/name_map.h"
#include "broker/core/message/delivery_id.h"
#include "broker/core/message/message.h"
#include "broker/core/queue/fault.h"
#include "broker/core/queue/topic_tree.h"
#include "wire/amqp/types.h"

namespace havn::broker {

class Exchange;
class Queue;

enum class ExchangeType : std::uint8_t { direct, fanout, topic, headers };
std::optional<ExchangeType> exchange_type(std::string_view name);
std::string_view name(ExchangeType type);

struct Binding {
    Exchange* source = nullptr;    // owns this binding
    Queue* queue = nullptr;        // the destination is this queue of the same virtual host,
    Exchange* exchange = nullptr;  // or else this exchange of it
    std::string routing_key{};
    std::string arguments{};  // a field table's bytes

    LogPosition declared_at = 0;  // its topology record ends there

    amqp::Table table() const { return {arguments}; }
};

struct ExchangeSpec {
    std::string name;
    ExchangeType type = ExchangeType::direct;
    bool durable = false, auto_delete = false, internal = false;
    std::string arguments{};  // a field table's bytes
};

class Exchange {
  public:
    explicit Exchange(ExchangeSpec spec);

    const ExchangeSpec& spec() const { return spec_; }
    const std::string& name() const { return spec_.name; }
    bool is_default() const { return spec_.name.empty(); }
    const std::string& alternate() const { return alternate_; }  // name of an exchange, or empty

    // `identity` is unique among this exchange's bindings (topology.h makes it).
    Binding* find(std::string_view identity) const;
    Binding& add(const std::string& identity, Binding binding);
    void remove(std::string_view identity);
    bool has_bindings() const { return !bindings_.empty(); }
    const NameMap<std::unique_ptr<Binding>>& bindings() const { return bindings_; }

    // Appends the bindings a message fits.
    void match(std::string_view routing_key, amqp::Table headers, std::vector<Binding*>& found);

    std::vector<Binding*> incoming;  // bindings this exchange is the destination of; their source owns them
    LogPosition declared_at = 0;     // its topology record ends there
    bool deleted = false;            // its bindings are being taken away

  private:
    ExchangeSpec spec_;
    std::string alternate_;
    NameMap<std::unique_ptr<Binding>> bindings_;  // by identity
    NameMap<std::vector<Binding*>> by_key_;       // direct
    std::vector<Binding*> all_;                   // fanout, headers
    TopicTree tree_;                              // topic
};

// A binding's arguments say which headers must be there: x-match is all (default), any, all-with-x,
// any-with-x.
bool headers_match(amqp::Table wanted, amqp::Table headers);
Outcome check_headers_arguments(amqp::Table arguments);

}  // namespace havn::broker
