#include "broker/core/channel/queue_methods.h"

#include "broker/core/channel/declarations.h"

namespace havn::broker {

using namespace amqp;

void QueueMethods::declare_ok(bool nowait, const Queue& queue) {
    lookup_.set_last_declared(queue.name());
    reply_.send(nowait,
                QueueDeclareOk{std::string_view(queue.name()), static_cast<Long>(queue.ready_count()),
                               static_cast<Long>(queue.consumers().size())},
                queue.declared_at);
}

Outcome QueueMethods::on_declare_reply_address(const QueueDeclare& method) {
    const std::string name = without_line_ends(method.queue);
    if (!subscriptions_.replies().is_somebody_at(name)) {
        return refuse(ReplyCode::not_found, "no queue '{}' in vhost '{}'", name, context_.vhost.name());
    }
    reply_.send(method.nowait, QueueDeclareOk{std::string_view(name), 0, 1});
    return {};
}

Outcome QueueMethods::on_declare(const QueueDeclare& method) {
    if (std::string_view(method.queue).starts_with(reply_to_name)) return on_declare_reply_address(method);
    if (method.passive) {
        const std::expected<Queue*, Fault> queue = lookup_.find(method.queue);
        if (!queue) return std::unexpected(queue.error());
        (*queue)->touch();
        declare_ok(method.nowait, **queue);
        return {};
    }
    std::string name = without_line_ends(method.queue);
    if (name.empty()) return declare_new(method, context_.broker.names.next("amq.gen-"));
    if (Queue* queue = context_.vhost.find_queue(name)) return declare_again(method, *queue);
    if (auto ok = check_not_reserved("queue", name); !ok) return ok;
    return declare_new(method, std::move(name));
}

Outcome QueueMethods::declare_again(const QueueDeclare& method, Queue& queue) {
    const QueueSpec& spec = queue.spec();
    const QueueOwner* wanted_owner = method.exclusive ? &context_.holdings.exclusive : nullptr;
    if (spec.owner != wanted_owner) return lookup_.refuse_locked(spec.name);
    const Declared declared{"queue", spec.name, context_.vhost.name()};
    if (auto ok = check_same("durable", declared, method.durable, spec.durable); !ok) return ok;
    if (auto ok = check_same("auto_delete", declared, method.auto_delete, spec.auto_delete); !ok) return ok;
    if (auto ok = check_equivalent_arguments(method.arguments, {spec.arguments}, {spec.name, declared.vhost});
        !ok) {
        return ok;
    }
    queue.touch();
    declare_ok(method.nowait, queue);
    return {};
}

// What a queue that RabbitMQ replicates cannot be there, it is not here either, so that moving on to a
// cluster changes nothing.
Outcome QueueMethods::check_kind(const QueueDeclare& method, const QueueArguments& arguments,
                                 std::string_view name) const {
    if (!arguments.quorum) return {};
    const auto no = [&](std::string_view property) {
        return refuse(ReplyCode::precondition_failed, "invalid property '{}' for queue '{}' in vhost '{}'",
                      property, name, context_.vhost.name());
    };
    if (!method.durable) return no("non-durable");
    if (method.auto_delete) return no("auto-delete");
    if (method.exclusive) return no("exclusive-owner");
    return {};
}

Outcome QueueMethods::declare_new(const QueueDeclare& method, std::string name) {
    auto arguments = queue_arguments(method.arguments, {name, context_.vhost.name()});
    if (!arguments) return std::unexpected(arguments.error());
    if (auto ok = check_text("queue", name); !ok) return ok;
    if (auto ok = check_kind(method, *arguments, name); !ok) return ok;
    if (auto ok = check_memory_for("queue", name, context_); !ok) return ok;
    Queue& queue =
        context_.vhost.add_queue({.name = std::move(name),
                                  .durable = method.durable,
                                  .auto_delete = method.auto_delete,
                                  .owner = method.exclusive ? &context_.holdings.exclusive : nullptr,
                                  .arguments = std::string(method.arguments.bytes)},
                                 std::move(*arguments));
    declare_ok(method.nowait, queue);
    return {};
}

Outcome QueueMethods::on_bind(const QueueBind& method) {
    const std::expected<Queue*, Fault> queue = lookup_.find(method.queue);
    if (!queue) return std::unexpected(queue.error());
    const std::expected<Exchange*, Fault> exchange = bindable_exchange(context_.vhost, method.exchange);
    if (!exchange) return std::unexpected(exchange.error());
    if ((*exchange)->spec().type == ExchangeType::headers) {
        if (auto ok = check_headers_arguments(method.arguments); !ok) return ok;
    }
    if (auto ok = check_memory_for("binding to", (*queue)->name(), context_); !ok) return ok;
    // Neither queue nor key named: the key is the name of the queue meant (specification, queue.bind).
    const bool nothing_named = method.queue.empty() && method.routing_key.empty();
    const std::string_view key =
        nothing_named ? std::string_view((*queue)->name()) : std::string_view(method.routing_key);
    const Binding& binding = context_.vhost.bind(**exchange, *queue, nullptr, key, method.arguments);
    reply_.send(method.nowait, QueueBindOk{}, binding.declared_at);
    return {};
}

Outcome QueueMethods::on_unbind(const QueueUnbind& method) {
    const std::expected<std::string, Fault> name = lookup_.name(method.queue);
    if (!name) return std::unexpected(name.error());
    const std::string exchange_name = without_line_ends(method.exchange);
    if (exchange_name.empty()) return not_on_default_exchange();
    Exchange* exchange = context_.vhost.find_exchange(exchange_name);
    if (context_.vhost.find_queue(*name)) {
        const std::expected<Queue*, Fault> queue = lookup_.find(*name);
        if (!queue) return std::unexpected(queue.error());
        if (exchange) context_.vhost.unbind(*exchange, *queue, nullptr, method.routing_key, method.arguments);
    }
    reply_.send(false, QueueUnbindOk{});
    return {};
}

Outcome QueueMethods::on_purge(const QueuePurge& method) {
    const std::expected<Queue*, Fault> queue = lookup_.find(method.queue);
    if (!queue) return std::unexpected(queue.error());
    reply_.send(method.nowait, QueuePurgeOk{static_cast<Long>((*queue)->purge())});
    return {};
}

Outcome QueueMethods::on_delete(const QueueDelete& method) {
    const std::expected<std::string, Fault> name = lookup_.name(method.queue);
    if (!name) return std::unexpected(name.error());
    Long count = 0;
    if (context_.vhost.find_queue(*name)) {
        const std::expected<Queue*, Fault> found = lookup_.find(*name);
        if (!found) return std::unexpected(found.error());
        Queue& queue = **found;
        const auto not_now = [&](std::string_view state) {
            return refuse(ReplyCode::precondition_failed, "queue '{}' in vhost '{}' {}", *name,
                          context_.vhost.name(), state);
        };
        if (method.if_unused && !queue.consumers().empty()) return not_now("in use");
        if (method.if_empty && queue.waiting_count() > 0) return not_now("not empty");
        count = static_cast<Long>(queue.waiting_count());
        subscriptions_.collect_cancelled();
        context_.vhost.delete_queue(queue);
    }
    reply_.send(method.nowait, QueueDeleteOk{count});
    for (const std::string& tag : subscriptions_.take_cancelled()) {
        context_.out.send_after_held(context_.number, BasicCancel{std::string_view(tag), true});
    }
    return {};
}

}  // namespace havn::broker
