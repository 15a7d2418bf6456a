// What is checked of a name, and of a declaration of what is there already, before anything is declared.
#pragma once

#include <string_view>

#include "broker/core/channel/channel_context.h"

namespace havn::broker {

Outcome check_not_reserved(std::string_view kind, std::string_view name);

// Names are shown to people and written as JSON. RabbitMQ ends the connection as well.
Outcome check_text(std::string_view kind, std::string_view name);

// What is declared takes memory as well, and nobody can consume it away.
Outcome check_memory_for(std::string_view kind, std::string_view name, const ChannelContext& context);

// An argument of what is declared again: received and current are the same, or a fault names it.
struct Declared {
    std::string_view kind, name, vhost;
};
Outcome check_same(std::string_view argument, const Declared& declared, std::string_view received,
                   std::string_view current);
Outcome check_same(std::string_view argument, const Declared& declared, bool received, bool current);

Outcome no_exchange(std::string_view name, const Vhost& vhost);
Outcome not_on_default_exchange();

// The exchange of that name that a binding may begin or end at.
std::expected<Exchange*, Fault> bindable_exchange(Vhost& vhost, std::string_view name);

}  // namespace havn::broker
