#include "broker/core/queue/queue_arguments.h"

#include <array>

#include "wire/amqp/table.h"

namespace havn::broker {

namespace {

constexpr std::int64_t milliseconds_max = std::int64_t{1} << 41;  // 69 years

constexpr std::array<std::string_view, 11> effective{
    "x-expires",
    "x-message-ttl",
    "x-max-length",
    "x-overflow",
    "x-max-length-bytes",
    "x-dead-letter-exchange",
    "x-queue-type",
    "x-max-priority",
    "x-dead-letter-routing-key",
    "x-single-active-consumer",
    "x-delivery-limit",
};

std::string_view type_name(char type) {
    switch (type) {
        case 't':
            return "bool";
        case 'b':
            return "byte";
        case 'B':
            return "unsignedbyte";
        case 's':
            return "short";
        case 'u':
            return "unsignedshort";
        case 'I':
            return "signedint";
        case 'i':
            return "unsignedint";
        case 'l':
            return "long";
        case 'L':
            return "unsignedlong";
        case 'f':
            return "float";
        case 'd':
            return "double";
        case 'D':
            return "decimal";
        case 'S':
            return "longstr";
        case 'x':
            return "binary";
        case 'A':
            return "array";
        case 'T':
            return "timestamp";
        case 'F':
            return "table";
        default:
            return "void";
    }
}

std::string describe(const std::optional<amqp::Value>& value) {
    if (!value) return "none";
    std::string shown = "...";
    if (const auto integer = value->integer()) shown = std::to_string(*integer);
    if (const auto boolean = value->boolean()) shown = *boolean ? "true" : "false";
    if (const auto text = value->text()) shown = *text;
    return fmt::format("the value '{}' of type '{}'", shown, type_name(value->type));
}

// Reads one table, remembering the first thing wrong with it.
class ArgumentParser {
  public:
    ArgumentParser(amqp::Table table, QueueName queue) : table_(table), queue_(queue) {}

    std::optional<std::int64_t> integer(std::string_view name, std::int64_t min, std::int64_t max) {
        const auto value = amqp::find(table_, name);
        if (!value) return std::nullopt;
        const auto integer = value->integer();
        if (!integer) return bad(name, "unacceptable type", type_name(value->type)), std::nullopt;
        if (*integer < min || *integer > max) {
            bad(name, fmt::format("not in {}..{}", min, max), std::to_string(*integer));
            return std::nullopt;
        }
        return integer;
    }
    std::optional<std::string> text(std::string_view name) {
        const auto value = amqp::find(table_, name);
        if (!value) return std::nullopt;
        const auto text = value->text();
        if (!text || text->size() > 255) {
            return bad(name, "unacceptable type", type_name(value->type)), std::nullopt;
        }
        return std::string(*text);
    }
    bool boolean(std::string_view name) {
        const auto value = amqp::find(table_, name);
        if (!value) return false;
        if (!value->boolean()) bad(name, "unacceptable type", type_name(value->type));
        return value->boolean().value_or(false);
    }
    void bad(std::string_view name, std::string_view why, std::string_view found) {
        if (!outcome_) return;
        outcome_ =
            refuse(ReplyCode::precondition_failed, "invalid arg '{}' for queue '{}' in vhost '{}': {}: '{}'",
                   name, queue_.name, queue_.vhost, why, found);
    }
    const Outcome& outcome() const { return outcome_; }

  private:
    amqp::Table table_;
    QueueName queue_;
    Outcome outcome_;
};

void read_overflow(ArgumentParser& parser, QueueArguments& parsed) {
    const std::string overflow = parser.text("x-overflow").value_or("drop-head");
    parsed.reject_publish = overflow == "reject-publish";
    if (overflow != "drop-head" && overflow != "reject-publish") {
        parser.bad("x-overflow", "unknown behaviour", overflow);
    }
}

}  // namespace

std::expected<QueueArguments, Fault> queue_arguments(amqp::Table arguments, QueueName queue) {
    QueueArguments parsed;
    if (arguments.bytes.empty()) return parsed;
    ArgumentParser parser(arguments, queue);
    constexpr std::int64_t any = INT64_MAX;
    parsed.expires = parser.integer("x-expires", 1, milliseconds_max);
    parsed.message_ttl = parser.integer("x-message-ttl", 0, milliseconds_max);
    parsed.max_length = parser.integer("x-max-length", 0, any);
    parsed.max_length_bytes = parser.integer("x-max-length-bytes", 0, any);
    parsed.dead_letter_exchange = parser.text("x-dead-letter-exchange");
    parsed.dead_letter_routing_key = parser.text("x-dead-letter-routing-key");
    parsed.max_priority = static_cast<std::uint8_t>(parser.integer("x-max-priority", 0, 255).value_or(0));
    parsed.single_active_consumer = parser.boolean("x-single-active-consumer");
    read_overflow(parser, parsed);
    const std::string type = parser.text("x-queue-type").value_or("classic");
    if (type != "classic" && type != "quorum") parser.bad("x-queue-type", "unsupported queue type", type);
    parsed.quorum = type == "quorum";
    if (const auto limit = parser.integer("x-delivery-limit", 0, 4'000)) {
        parsed.delivery_limit = static_cast<std::uint64_t>(*limit);
    }
    if (parsed.quorum && amqp::find(arguments, "x-max-priority")) {
        parser.bad("x-max-priority", "not for a queue of this type", type);
    }
    if (parsed.dead_letter_routing_key && !parsed.dead_letter_exchange) {
        parser.bad("x-dead-letter-routing-key", "routing key without an exchange",
                   *parsed.dead_letter_routing_key);
    }
    if (!parser.outcome()) return std::unexpected(parser.outcome().error());
    return parsed;
}

Outcome check_equivalent_argument(std::string_view argument, amqp::Table received, amqp::Table current,
                                  std::string_view kind, std::string_view name, std::string_view vhost) {
    const auto theirs = amqp::find(received, argument), ours = amqp::find(current, argument);
    if (!theirs && !ours) return {};
    if (theirs && ours && theirs->equivalent(*ours)) return {};
    return refuse(ReplyCode::precondition_failed,
                  "inequivalent arg '{}' for {} '{}' in vhost '{}': received {} but current is {}", argument,
                  kind, name, vhost, describe(theirs), describe(ours));
}

Outcome check_equivalent_arguments(amqp::Table received, amqp::Table current, QueueName queue) {
    if (received == current) return {};
    for (const std::string_view argument : effective) {
        auto same = check_equivalent_argument(argument, received, current, "queue", queue.name, queue.vhost);
        if (!same) return same;
    }
    return {};
}

}  // namespace havn::broker
