// Durable exchanges, queues and bindings as keys and values of the journal (docs/formats/log.md).
//
// Strings are AMQP short strings, a length byte and at most 255 bytes; argument tables and names stand last,
// without a length.
//
//   key "X" + vhost + name               value flags, type name, arguments       an exchange
//   key "Q" + vhost + name               value id (4), flags, arguments          a queue
//   key "B" + vhost + source + identity  value empty                             a binding; identity as below
//   key "i"                              value 4 bytes                           no queue id from this one on
//   was given
//
// Before version 3 of the log there was one virtual host, "/": keys were "x" + name, "q" + name and
// "b" + source + identity. They are read, and rewritten when the broker starts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/core/message/delivery_id.h"
#include "broker/core/queue/exchange.h"
#include "broker/core/queue/queue.h"

namespace havn::broker::topology {

inline constexpr std::string_view next_id_key = "i";

std::string exchange_key(std::string_view vhost, std::string_view name);
std::string exchange_value(const ExchangeSpec& spec);
std::string queue_key(std::string_view vhost, std::string_view name);
std::string queue_value(const QueueSpec& spec, QueueId id);
std::string id_value(std::uint32_t id);

// What makes a binding of one exchange different from its others: destination, routing key and arguments.
std::string binding_identity(bool to_queue, std::string_view destination, std::string_view routing_key,
                             amqp::Table arguments);
std::string binding_key(std::string_view vhost, std::string_view source, std::string_view identity);

// A key taken apart; views into it.
struct Key {
    enum class Kind : std::uint8_t { exchange, queue, binding } kind{};
    std::string_view vhost;
    std::string_view rest;  // the name, or of a binding source and identity
    bool outdated = false;  // as written before version 3
};
std::optional<Key> read_key(std::string_view key);
std::string current_key(const Key& key);  // as it is written today

struct QueueRecord {
    QueueSpec spec;
    QueueId id{};
};
struct BindingRecord {
    std::string vhost, source, identity, destination, routing_key, arguments;
    bool to_queue = false;
};

// Nothing when the bytes are not what the functions above write.
std::optional<ExchangeSpec> read_exchange(const Key& key, std::string_view value);
std::optional<QueueRecord> read_queue(const Key& key, std::string_view value);
std::optional<BindingRecord> read_binding(const Key& key);
std::optional<std::uint32_t> read_id(std::string_view value);

}  // namespace havn::broker::topology
