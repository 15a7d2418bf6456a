#include "broker/core/channel/publisher.h"

namespace havn::broker {

using namespace amqp;

Outcome Publisher::on_publish(const BasicPublish& method) {
    if (method.immediate) return refuse(ReplyCode::not_implemented, "immediate=true");
    context_.gate.on_publish();
    assembler_.begin(method);
    return {};
}

Outcome Publisher::on_confirm_select(const ConfirmSelect& method) {
    confirms_.turn_on();
    if (!method.nowait) context_.send(ConfirmSelectOk{});
    return {};
}

Outcome Publisher::check_properties(const Properties& properties) const {
    if (properties.has(Properties::has_user_id) && properties.user_id != context_.terms.user) {
        return refuse(ReplyCode::precondition_failed,
                      "user_id property set to '{}' but authenticated user was '{}'",
                      std::string_view(properties.user_id), context_.terms.user);
    }
    if (properties.has(Properties::has_expiration) && !parse_expiration(properties.expiration)) {
        return refuse(ReplyCode::precondition_failed, "invalid expiration '{}': not a number of milliseconds",
                      std::string_view(properties.expiration));
    }
    return {};
}

Outcome Publisher::publish() {
    Content& content = assembler_.content();
    constexpr auto unusual = Properties::has_user_id | Properties::has_expiration | Properties::has_reply_to;
    if (content.properties.flags & unusual) {
        if (auto ok = check_properties(content.properties); !ok) return ok;
        if (auto ok = replies_.put_address(content); !ok) return ok;
    }
    Vhost& vhost = context_.vhost;
    const Route& route =
        vhost.router().find(content.exchange, content.routing_key, content.properties.headers);
    if (!route.exchange) {
        return refuse(ReplyCode::not_found, "no exchange '{}' in vhost '{}'", content.exchange, vhost.name());
    }
    if (route.exchange->spec().internal) {
        return refuse(ReplyCode::access_refused, "cannot publish to internal exchange '{}' in vhost '{}'",
                      content.exchange, vhost.name());
    }
    ++context_.broker.counters.published;
    if (confirms_.on()) confirms_.count_publish();
    if (route.queues.empty() && !replies_.forward(content)) {
        ++context_.broker.counters.unroutable;
        if (content.mandatory) return_message(content);
    }
    const bool refused = choose_targets(route, content);
    bool stored = false;
    if (!targets_.empty()) {
        Publication publication{{content.exchange, content.routing_key, content.raw_properties, content.body},
                                content.properties.persistent(),
                                content.properties.priority,
                                {}};
        if (content.properties.has(Properties::has_expiration)) {
            publication.expiration = parse_expiration(content.properties.expiration);
        }
        stored = vhost.enqueue(publication, targets_);
    }
    if (!confirms_.on()) return {};
    if (refused) {
        context_.send(BasicNack{confirms_.sequence(), false, false});
    } else {
        confirms_.add(stored ? context_.broker.store.journal().position() : 0);
    }
    return {};
}

// The queues of the route that take the message. Whether one was at its limit and told to refuse.
bool Publisher::choose_targets(const Route& route, const Content& content) {
    const bool promised = confirms_.on() && content.properties.persistent();
    targets_.clear();
    for (Queue* const queue : route.queues) {
        if (queue->accepts_another(promised)) targets_.push_back(queue);
    }
    return targets_.size() < route.queues.size();
}

void Publisher::return_message(const Content& content) {
    const BasicReturn method{static_cast<Short>(ReplyCode::no_route), "NO_ROUTE", content.exchange,
                             content.routing_key};
    context_.out.send_content(
        context_.number, method,
        MessagePtr::make({content.exchange, content.routing_key, content.raw_properties, content.body}));
}

void Publisher::send_confirms(LogPosition durable) {
    const Confirms::Acknowledged acknowledged = confirms_.take(durable);
    if (acknowledged.count == 0) return;
    context_.broker.counters.confirmed += acknowledged.count;
    context_.send(BasicAck{acknowledged.last, acknowledged.count > 1});
}

void Publisher::close() {
    confirms_.clear();
    assembler_.drop();
}

}  // namespace havn::broker
