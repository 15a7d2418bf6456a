#include "broker/core/channel/queue_lookup.h"

namespace havn::broker {

std::string without_line_ends(std::string_view name) {
    std::string cleaned(name);
    std::erase_if(cleaned, [](char c) { return c == '\n' || c == '\r'; });
    return cleaned;
}

std::expected<std::string, Fault> QueueLookup::name(std::string_view given) const {
    if (!given.empty()) return without_line_ends(given);
    if (!last_declared_.empty()) return last_declared_;
    return refuse(ReplyCode::not_found, "no previously declared queue");
}

std::expected<Queue*, Fault> QueueLookup::find(std::string_view given) const {
    const std::expected<std::string, Fault> wanted = name(given);
    if (!wanted) return std::unexpected(wanted.error());
    Queue* queue = context_.vhost.find_queue(*wanted);
    if (!queue) {
        return refuse(ReplyCode::not_found, "no queue '{}' in vhost '{}'", *wanted, context_.vhost.name());
    }
    const QueueOwner* owner = queue->spec().owner;
    if (owner && owner != &context_.holdings.exclusive) {
        return std::unexpected(refuse_locked(*wanted).error());
    }
    return queue;
}

Outcome QueueLookup::refuse_locked(std::string_view queue) const {
    return refuse(
        ReplyCode::resource_locked,
        "cannot obtain exclusive access to locked queue '{}' in vhost '{}'. It could be originally declared "
        "on another connection or the exclusive property value does not match that of the original "
        "declaration.",
        queue, context_.vhost.name());
}

}  // namespace havn::broker
