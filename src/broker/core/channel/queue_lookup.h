// Queues by the name a client gives: an empty name means the queue last declared on the channel, a queue that
// is exclusive to another connection is refused. Belongs to its channel.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "broker/core/channel/channel_context.h"

namespace havn::broker {

std::string without_line_ends(std::string_view name);  // they have no place in a name

class QueueLookup {
  public:
    explicit QueueLookup(const ChannelContext& context) : context_(context) {}

    std::expected<std::string, Fault> name(std::string_view given) const;
    std::expected<Queue*, Fault> find(std::string_view given) const;  // it is there, and not another's
    Outcome refuse_locked(std::string_view queue) const;
    void set_last_declared(const std::string& name) { last_declared_ = name; }

  private:
    const ChannelContext& context_;
    std::string last_declared_;
};

}  // namespace havn::broker
