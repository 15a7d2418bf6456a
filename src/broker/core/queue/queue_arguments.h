// What a queue's x-arguments mean, and when two declarations say the same.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "broker/core/queue/fault.h"
#include "wire/amqp/types.h"

namespace havn::broker {

struct QueueArguments {
    std::optional<std::int64_t> expires;      // ms without use after which the queue goes; > 0
    std::optional<std::int64_t> message_ttl;  // ms
    std::optional<std::int64_t> max_length, max_length_bytes;  // of ready messages
    bool reject_publish = false;  // at a limit: refuse the new one; else drop the eldest
    std::optional<std::string> dead_letter_exchange, dead_letter_routing_key;
    std::optional<std::uint64_t> delivery_limit;  // failed attempts, beyond which it is dead-lettered
    bool quorum = false;
    std::uint8_t max_priority = 0;
    bool single_active_consumer = false;
};

// Whose arguments they are, for messages.
struct QueueName {
    std::string_view name, vhost;
};

// A bad value is precondition_failed and names the argument. Unknown arguments are kept and mean nothing.
std::expected<QueueArguments, Fault> queue_arguments(amqp::Table arguments, QueueName queue);

// Whether the arguments that have a meaning are the same; numbers by value, whatever their width.
Outcome check_equivalent_arguments(amqp::Table received, amqp::Table current, QueueName queue);

// "inequivalent arg 'alternate-exchange' for exchange 'e' …": one argument by name.
Outcome check_equivalent_argument(std::string_view argument, amqp::Table received, amqp::Table current,
                                  std::string_view kind, std::string_view name, std::string_view vhost);

}  // namespace havn::broker
