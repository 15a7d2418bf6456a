#include "broker/core/channel/declarations.h"

#include "base/text/utf8.h"
#include "broker/core/channel/queue_lookup.h"

namespace havn::broker {

Outcome check_not_reserved(std::string_view kind, std::string_view name) {
    if (!name.starts_with("amq.")) return {};
    return refuse(ReplyCode::access_refused, "{} name '{}' contains reserved prefix 'amq.*'", kind, name);
}

Outcome check_text(std::string_view kind, std::string_view name) {
    if (is_utf8(name)) return {};
    return refuse(ReplyCode::frame_error, "the name of the {} is not valid UTF-8", kind);
}

Outcome check_memory_for(std::string_view kind, std::string_view name, const ChannelContext& context) {
    if (!context.broker.store.exhausted()) return {};
    return refuse(ReplyCode::resource_error, "the broker is out of memory: no new {} '{}'", kind, name);
}

Outcome check_same(std::string_view argument, const Declared& declared, std::string_view received,
                   std::string_view current) {
    if (received == current) return {};
    return refuse(ReplyCode::precondition_failed,
                  "inequivalent arg '{}' for {} '{}' in vhost '{}': received '{}' but current is '{}'",
                  argument, declared.kind, declared.name, declared.vhost, received, current);
}

Outcome check_same(std::string_view argument, const Declared& declared, bool received, bool current) {
    const auto text = [](bool value) { return value ? std::string_view("true") : std::string_view("false"); };
    return check_same(argument, declared, text(received), text(current));
}

Outcome no_exchange(std::string_view name, const Vhost& vhost) {
    return refuse(ReplyCode::not_found, "no exchange '{}' in vhost '{}'", name, vhost.name());
}

Outcome not_on_default_exchange() {
    return refuse(ReplyCode::access_refused, "operation not permitted on the default exchange");
}

std::expected<Exchange*, Fault> bindable_exchange(Vhost& vhost, std::string_view given) {
    const std::string name = without_line_ends(given);
    if (name.empty()) return std::unexpected(not_on_default_exchange().error());
    Exchange* exchange = vhost.find_exchange(name);
    if (!exchange) return std::unexpected(no_exchange(name, vhost).error());
    return exchange;
}

}  // namespace havn::broker
