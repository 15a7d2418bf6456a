// Durable exchanges, queues and bindings as keys and values of the journal (docs/formats/log.md carries them
// as opaque bytes). Strings are AMQP short strings, argument tables stand last without a length.
//
//   key "x" + name   value flags, type name, arguments       an exchange
//   key "q" + name   value id (4), flags, arguments          a queue
//   key "b" + source + identity   value empty                a binding; identity as below
//   key "i"          value 4 bytes                           no queue id from this one on was given yet
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/core/exchange.h"
#include "broker/core/message/delivery_id.h"
#include "broker/core/message/message.h"
#include "broker/core/queue.h"

namespace havn::broker::topology {

inline constexpr std::string_view next_id_key = "i";

std::string exchange_key(std::string_view name);
std::string exchange_value(const ExchangeSpec& spec);
std::string queue_key(std::string_view name);
std::string queue_value(const QueueSpec& spec, QueueId id);
std::string id_value(std::uint32_t id);

// What makes a binding of one exchange different from its others: destination, routing key and arguments.
std::string binding_identity(bool to_queue, std::string_view destination, std::string_view routing_key,
                             amqp::Table arguments);
std::string binding_key(std::string_view source, std::string_view identity);

struct QueueRecord {
    QueueSpec spec;
    QueueId id{};
};
struct BindingRecord {
    std::string source, identity, destination, routing_key, arguments;
    bool to_queue = false;
};

// Nothing when the bytes are not what the functions above write.
std::optional<ExchangeSpec> read_exchange(std::string_view key, std::string_view value);
std::optional<QueueRecord> read_queue(std::string_view key, std::string_view value);
std::optional<BindingRecord> read_binding(std::string_view key);
std::optional<std::uint32_t> read_id(std::string_view value);

}  // namespace havn::broker::topology
