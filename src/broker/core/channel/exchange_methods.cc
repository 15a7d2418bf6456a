#include "broker/core/channel/exchange_methods.h"

#include "broker/core/channel/declarations.h"
#include "broker/core/channel/queue_lookup.h"

namespace havn::broker {

using namespace amqp;

namespace {

Outcome unknown_exchange_type(std::string_view type) {
    return refuse(ReplyCode::command_invalid, "unknown exchange type '{}'", type);
}

}  // namespace

Outcome ExchangeMethods::check_equivalent(const ExchangeDeclare& method, const Exchange& exchange) const {
    const ExchangeSpec& spec = exchange.spec();
    const Declared declared{"exchange", spec.name, context_.vhost.name()};
    if (auto ok = check_same("type", declared, std::string_view(method.type), name(spec.type)); !ok) {
        return ok;
    }
    if (auto ok = check_same("durable", declared, method.durable, spec.durable); !ok) return ok;
    if (auto ok = check_same("auto_delete", declared, method.auto_delete, spec.auto_delete); !ok) return ok;
    if (auto ok = check_same("internal", declared, method.internal, spec.internal); !ok) return ok;
    return check_equivalent_argument("alternate-exchange", method.arguments, {spec.arguments}, declared.kind,
                                     declared.name, declared.vhost);
}

Outcome ExchangeMethods::on_declare(const ExchangeDeclare& method) {
    const std::string name = without_line_ends(method.exchange);
    if (name.empty()) return not_on_default_exchange();
    const Exchange* exchange = context_.vhost.find_exchange(name);
    if (method.passive) {
        if (!exchange) return no_exchange(name, context_.vhost);
    } else if (exchange) {
        if (!exchange_type(method.type)) return unknown_exchange_type(method.type);
        if (auto ok = check_equivalent(method, *exchange); !ok) return ok;
    } else if (auto ok = declare_new(method, name); !ok) {
        return ok;
    }
    reply_.send(method.nowait, ExchangeDeclareOk{}, exchange ? exchange->declared_at : 0);
    return {};
}

Outcome ExchangeMethods::declare_new(const ExchangeDeclare& method, const std::string& name) {
    const std::optional<ExchangeType> type = exchange_type(method.type);
    if (!type) return unknown_exchange_type(method.type);
    if (auto ok = check_not_reserved("exchange", name); !ok) return ok;
    if (auto ok = check_text("exchange", name); !ok) return ok;
    if (auto ok = check_memory_for("exchange", name, context_); !ok) return ok;
    context_.vhost.add_exchange({.name = name,
                                 .type = *type,
                                 .durable = method.durable,
                                 .auto_delete = method.auto_delete,
                                 .internal = method.internal,
                                 .arguments = std::string(method.arguments.bytes)});
    return {};
}

Outcome ExchangeMethods::on_delete(const ExchangeDelete& method) {
    const std::string name = without_line_ends(method.exchange);
    if (name.empty()) return not_on_default_exchange();
    if (auto ok = check_not_reserved("exchange", name); !ok) return ok;
    if (Exchange* exchange = context_.vhost.find_exchange(name)) {
        if (method.if_unused && exchange->has_bindings()) {
            return refuse(ReplyCode::precondition_failed, "exchange '{}' in vhost '{}' in use", name,
                          context_.vhost.name());
        }
        context_.vhost.delete_exchange(*exchange);
    }
    reply_.send(method.nowait, ExchangeDeleteOk{});
    return {};
}

Outcome ExchangeMethods::on_bind(const ExchangeBind& method) {
    const auto destination = bindable_exchange(context_.vhost, method.destination);
    const auto source = bindable_exchange(context_.vhost, method.source);
    if (!source) return std::unexpected(source.error());
    if (!destination) return std::unexpected(destination.error());
    if ((*source)->spec().type == ExchangeType::headers) {
        if (auto ok = check_headers_arguments(method.arguments); !ok) return ok;
    }
    if (auto ok = check_memory_for("binding to", (*destination)->name(), context_); !ok) return ok;
    const Binding& binding =
        context_.vhost.bind(**source, nullptr, *destination, method.routing_key, method.arguments);
    reply_.send(method.nowait, ExchangeBindOk{}, binding.declared_at);
    return {};
}

// What is not there is unbound: neither end need exist.
Outcome ExchangeMethods::on_unbind(const ExchangeUnbind& method) {
    const std::string source_name = without_line_ends(method.source);
    const std::string destination_name = without_line_ends(method.destination);
    if (source_name.empty() || destination_name.empty()) return not_on_default_exchange();
    Exchange* source = context_.vhost.find_exchange(source_name);
    Exchange* destination = context_.vhost.find_exchange(destination_name);
    if (source && destination) {
        context_.vhost.unbind(*source, nullptr, destination, method.routing_key, method.arguments);
    }
    reply_.send(method.nowait, ExchangeUnbindOk{});
    return {};
}

}  // namespace havn::broker
