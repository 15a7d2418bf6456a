// Channel: declaring, binding and deleting exchanges and queues.
#include <algorithm>

#include "base/text/utf8.h"
#include "broker/core/channel.h"
#include "broker/core/conversation.h"
#include "broker/core/vhost.h"
#include "wire/amqp/table.h"

namespace havn::broker {

using namespace amqp;

namespace {

std::string clean(std::string_view name) {  // line ends have no place in a name
    std::string cleaned(name);
    std::erase_if(cleaned, [](char c) { return c == '\n' || c == '\r'; });
    return cleaned;
}

Outcome check_not_reserved(std::string_view kind, std::string_view name) {
    if (!name.starts_with("amq.")) return {};
    return refuse(ReplyCode::access_refused, "{} name '{}' contains reserved prefix 'amq.*'", kind, name);
}

// Names are shown to people and written as JSON. RabbitMQ ends the connection as well.
Outcome check_text(std::string_view kind, std::string_view name) {
    if (is_utf8(name)) return {};
    return refuse(ReplyCode::frame_error, "the name of the {} is not valid UTF-8", kind);
}

Outcome check_same(std::string_view argument, std::string_view kind, std::string_view name,
                   std::string_view received, std::string_view current) {
    if (received == current) return {};
    return refuse(ReplyCode::precondition_failed,
                  "inequivalent arg '{}' for {} '{}' in vhost '/': received '{}' but current is '{}'",
                  argument, kind, name, received, current);
}

std::string_view text(bool value) {
    return value ? "true" : "false";
}

Outcome check_equivalent(const ExchangeDeclare& method, const Exchange& exchange) {
    const ExchangeSpec& spec = exchange.spec();
    const auto same = [&](std::string_view argument, std::string_view received, std::string_view current) {
        return check_same(argument, "exchange", spec.name, received, current);
    };
    if (auto ok = same("type", method.type, name(spec.type)); !ok) return ok;
    if (auto ok = same("durable", text(method.durable), text(spec.durable)); !ok) return ok;
    if (auto ok = same("auto_delete", text(method.auto_delete), text(spec.auto_delete)); !ok) return ok;
    if (auto ok = same("internal", text(method.internal), text(spec.internal)); !ok) return ok;
    return check_equivalent_argument("alternate-exchange", method.arguments, {spec.arguments}, "exchange",
                                     spec.name);
}

Outcome refuse_locked(std::string_view queue) {
    return refuse(
        ReplyCode::resource_locked,
        "cannot obtain exclusive access to locked queue '{}' in vhost '/'. It could be originally declared "
        "on another connection or the exclusive property value does not match that of the original "
        "declaration.",
        queue);
}

Outcome no_exchange(std::string_view name) {
    return refuse(ReplyCode::not_found, "no exchange '{}' in vhost '/'", name);
}

// What is declared takes memory as well, and nobody can consume it away.
Outcome check_memory_for(std::string_view kind, std::string_view name, const Vhost& vhost) {
    if (!vhost.memory_exhausted()) return {};
    return refuse(ReplyCode::resource_error, "the broker is out of memory: no new {} '{}'", kind, name);
}

Outcome not_on_default_exchange() {
    return refuse(ReplyCode::access_refused, "operation not permitted on the default exchange");
}

}  // namespace

// What this method wrote is on disk before the answer says it is done; so is what it found already declared,
// perhaps a moment ago by somebody else (`promised`).
template <class Method>
void Channel::reply(bool nowait, const Method& method, LogPosition promised) {
    if (nowait) return;
    const LogPosition now = vhost_.journal.position();
    connection_.send_durably(number_, method, now != position_before_ ? now : promised);
}

Outcome Channel::on_exchange_declare(const ExchangeDeclare& method) {
    const std::string name = clean(method.exchange);
    if (name.empty()) return not_on_default_exchange();
    Exchange* exchange = vhost_.find_exchange(name);
    if (method.passive) {
        if (!exchange) return no_exchange(name);
    } else if (exchange) {
        if (!exchange_type(method.type)) {
            return refuse(ReplyCode::command_invalid, "unknown exchange type '{}'",
                          std::string_view(method.type));
        }
        if (auto ok = check_equivalent(method, *exchange); !ok) return ok;
    } else {
        const auto type = exchange_type(method.type);
        if (!type) {
            return refuse(ReplyCode::command_invalid, "unknown exchange type '{}'",
                          std::string_view(method.type));
        }
        if (auto ok = check_not_reserved("exchange", name); !ok) return ok;
        if (auto ok = check_text("exchange", name); !ok) return ok;
        if (auto ok = check_memory_for("exchange", name, vhost_); !ok) return ok;
        vhost_.add_exchange({.name = name,
                             .type = *type,
                             .durable = method.durable,
                             .auto_delete = method.auto_delete,
                             .internal = method.internal,
                             .arguments = std::string(method.arguments.bytes)});
    }
    reply(method.nowait, ExchangeDeclareOk{}, exchange ? exchange->declared_at : 0);
    return {};
}

Outcome Channel::on_exchange_delete(const ExchangeDelete& method) {
    const std::string name = clean(method.exchange);
    if (name.empty()) return not_on_default_exchange();
    if (auto ok = check_not_reserved("exchange", name); !ok) return ok;
    if (Exchange* exchange = vhost_.find_exchange(name)) {
        if (method.if_unused && exchange->has_bindings()) {
            return refuse(ReplyCode::precondition_failed, "exchange '{}' in vhost '/' in use", name);
        }
        vhost_.delete_exchange(*exchange);
    }
    reply(method.nowait, ExchangeDeleteOk{});
    return {};
}

std::expected<Exchange*, Fault> Channel::bindable_exchange(std::string_view given) const {
    const std::string name = clean(given);
    if (name.empty()) return std::unexpected(not_on_default_exchange().error());
    Exchange* exchange = vhost_.find_exchange(name);
    if (!exchange) return std::unexpected(no_exchange(name).error());
    return exchange;
}

Outcome Channel::on_exchange_bind(const ExchangeBind& method) {
    const auto destination = bindable_exchange(method.destination), source = bindable_exchange(method.source);
    if (!source) return std::unexpected(source.error());
    if (!destination) return std::unexpected(destination.error());
    if ((*source)->spec().type == ExchangeType::headers) {
        if (auto ok = check_headers_arguments(method.arguments); !ok) return ok;
    }
    if (auto ok = check_memory_for("binding to", (*destination)->name(), vhost_); !ok) return ok;
    const Binding& binding =
        vhost_.bind(**source, nullptr, *destination, method.routing_key, method.arguments);
    reply(method.nowait, ExchangeBindOk{}, binding.declared_at);
    return {};
}

// What is not there is unbound: neither end need exist.
Outcome Channel::on_exchange_unbind(const ExchangeUnbind& method) {
    const std::string source_name = clean(method.source), destination_name = clean(method.destination);
    if (source_name.empty() || destination_name.empty()) return not_on_default_exchange();
    Exchange* source = vhost_.find_exchange(source_name);
    Exchange* destination = vhost_.find_exchange(destination_name);
    if (source && destination) {
        vhost_.unbind(*source, nullptr, destination, method.routing_key, method.arguments);
    }
    reply(method.nowait, ExchangeUnbindOk{});
    return {};
}

// An empty name means the queue last declared on this channel.
std::expected<std::string, Fault> Channel::queue_name(std::string_view given) const {
    if (!given.empty()) return clean(given);
    if (!last_queue_.empty()) return last_queue_;
    return refuse(ReplyCode::not_found, "no previously declared queue");
}

std::expected<Queue*, Fault> Channel::usable_queue(std::string_view given) const {
    const auto name = queue_name(given);
    if (!name) return std::unexpected(name.error());
    Queue* queue = vhost_.find_queue(*name);
    if (!queue) return refuse(ReplyCode::not_found, "no queue '{}' in vhost '/'", *name);
    const Conversation* owner = queue->spec().owner;
    if (owner && owner != &connection_) return std::unexpected(refuse_locked(*name).error());
    return queue;
}

void Channel::declare_ok(bool nowait, const Queue& queue) {
    last_queue_ = queue.name();
    reply(nowait,
          QueueDeclareOk{std::string_view(queue.name()), static_cast<Long>(queue.ready_count()),
                         static_cast<Long>(queue.consumers().size())},
          queue.declared_at);
}

// Whether somebody waits for replies at such an address: servers ask before they do the work.
Outcome Channel::on_declare_reply_address(const QueueDeclare& method) {
    const std::string name = clean(method.queue);
    const std::string_view token = std::string_view(name).substr(reply_to_name.size());
    const bool there = token.empty() || (token[0] == '.' && vhost_.reply_channels.contains(token.substr(1)));
    if (!there) return refuse(ReplyCode::not_found, "no queue '{}' in vhost '/'", name);
    reply(method.nowait, QueueDeclareOk{std::string_view(name), 0, 1});
    return {};
}

Outcome Channel::on_queue_declare(const QueueDeclare& method) {
    if (std::string_view(method.queue).starts_with(reply_to_name)) return on_declare_reply_address(method);
    if (method.passive) {
        const auto queue = usable_queue(method.queue);
        if (!queue) return std::unexpected(queue.error());
        (*queue)->touch();
        declare_ok(method.nowait, **queue);
        return {};
    }
    std::string name = clean(method.queue);
    if (name.empty()) return declare_new(method, vhost_.unique_name("amq.gen-"));
    if (Queue* queue = vhost_.find_queue(name)) return declare_again(method, *queue);
    if (auto ok = check_not_reserved("queue", name); !ok) return ok;
    return declare_new(method, std::move(name));
}

Outcome Channel::declare_again(const QueueDeclare& method, Queue& queue) {
    const QueueSpec& spec = queue.spec();
    const Conversation* wanted_owner = method.exclusive ? &connection_ : nullptr;
    if (spec.owner != wanted_owner) return refuse_locked(spec.name);
    const auto same = [&](std::string_view argument, bool received, bool current) {
        return check_same(argument, "queue", spec.name, text(received), text(current));
    };
    if (auto ok = same("durable", method.durable, spec.durable); !ok) return ok;
    if (auto ok = same("auto_delete", method.auto_delete, spec.auto_delete); !ok) return ok;
    if (auto ok = check_equivalent_arguments(method.arguments, {spec.arguments}, spec.name); !ok) return ok;
    queue.touch();
    declare_ok(method.nowait, queue);
    return {};
}

// What a queue that RabbitMQ replicates cannot be there, it is not here either, so that moving on to a
// cluster changes nothing.
static Outcome check_kind(const QueueDeclare& method, const QueueArguments& arguments,
                          std::string_view name) {
    if (!arguments.quorum) return {};
    const auto no = [&](std::string_view property) {
        return refuse(ReplyCode::precondition_failed, "invalid property '{}' for queue '{}' in vhost '/'",
                      property, name);
    };
    if (!method.durable) return no("non-durable");
    if (method.auto_delete) return no("auto-delete");
    if (method.exclusive) return no("exclusive-owner");
    return {};
}

Outcome Channel::declare_new(const QueueDeclare& method, std::string name) {
    auto arguments = queue_arguments(method.arguments, name);
    if (!arguments) return std::unexpected(arguments.error());
    if (auto ok = check_text("queue", name); !ok) return ok;
    if (auto ok = check_kind(method, *arguments, name); !ok) return ok;
    if (auto ok = check_memory_for("queue", name, vhost_); !ok) return ok;
    Queue& queue = vhost_.add_queue({.name = std::move(name),
                                     .durable = method.durable,
                                     .auto_delete = method.auto_delete,
                                     .owner = method.exclusive ? &connection_ : nullptr,
                                     .arguments = std::string(method.arguments.bytes)},
                                    std::move(*arguments));
    declare_ok(method.nowait, queue);
    return {};
}

Outcome Channel::on_queue_bind(const QueueBind& method) {
    const auto queue = usable_queue(method.queue);
    if (!queue) return std::unexpected(queue.error());
    const auto exchange = bindable_exchange(method.exchange);
    if (!exchange) return std::unexpected(exchange.error());
    if ((*exchange)->spec().type == ExchangeType::headers) {
        if (auto ok = check_headers_arguments(method.arguments); !ok) return ok;
    }
    if (auto ok = check_memory_for("binding to", (*queue)->name(), vhost_); !ok) return ok;
    // Neither queue nor key named: the key is the name of the queue meant (specification, queue.bind).
    const bool nothing_named = method.queue.empty() && method.routing_key.empty();
    const std::string_view key =
        nothing_named ? std::string_view((*queue)->name()) : std::string_view(method.routing_key);
    const Binding& binding = vhost_.bind(**exchange, *queue, nullptr, key, method.arguments);
    reply(method.nowait, QueueBindOk{}, binding.declared_at);
    return {};
}

Outcome Channel::on_queue_unbind(const QueueUnbind& method) {
    const auto name = queue_name(method.queue);
    if (!name) return std::unexpected(name.error());
    const std::string exchange_name = clean(method.exchange);
    if (exchange_name.empty()) return not_on_default_exchange();
    Exchange* exchange = vhost_.find_exchange(exchange_name);
    if (vhost_.find_queue(*name)) {
        const auto queue = usable_queue(*name);
        if (!queue) return std::unexpected(queue.error());
        if (exchange) vhost_.unbind(*exchange, *queue, nullptr, method.routing_key, method.arguments);
    }
    reply(false, QueueUnbindOk{});
    return {};
}

Outcome Channel::on_queue_purge(const QueuePurge& method) {
    const auto queue = usable_queue(method.queue);
    if (!queue) return std::unexpected(queue.error());
    reply(method.nowait, QueuePurgeOk{static_cast<Long>((*queue)->purge())});
    return {};
}

Outcome Channel::on_queue_delete(const QueueDelete& method) {
    const auto name = queue_name(method.queue);
    if (!name) return std::unexpected(name.error());
    Long count = 0;
    if (vhost_.find_queue(*name)) {
        const auto queue = usable_queue(*name);
        if (!queue) return std::unexpected(queue.error());
        if (method.if_unused && !(*queue)->consumers().empty()) {
            return refuse(ReplyCode::precondition_failed, "queue '{}' in vhost '/' in use", *name);
        }
        if (method.if_empty && (*queue)->stored_count() > 0) {
            return refuse(ReplyCode::precondition_failed, "queue '{}' in vhost '/' not empty", *name);
        }
        count = static_cast<Long>((*queue)->stored_count());
        deleting_ = true;  // this channel's own consumers are told after the answer
        vhost_.delete_queue(**queue);
        deleting_ = false;
    }
    reply(method.nowait, QueueDeleteOk{count});
    for (const std::string& tag : std::exchange(cancelled_, {})) {
        connection_.send_after_held(number_, BasicCancel{std::string_view(tag), true});
    }
    return {};
}

}  // namespace havn::broker
