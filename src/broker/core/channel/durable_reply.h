// Answers to methods that change exchanges, queues and bindings: what a method wrote is on disk before the
// answer says that it is done; so is what it found already declared, perhaps a moment ago by somebody else.
//
// Belongs to its channel.
#pragma once

#include "broker/core/channel/channel_context.h"

namespace havn::broker {

class DurableReply {
  public:
    explicit DurableReply(const ChannelContext& context) : context_(context) {}

    void begin() { position_before_ = position(); }  // a method is about to be carried out

    // `promised`: where the record ends of what it found declared; 0: it found nothing.
    template <class Method>
    void send(bool nowait, const Method& method, LogPosition promised = 0) {
        if (nowait) return;
        const LogPosition now = position();
        context_.out.send_durably(context_.number, method, now != position_before_ ? now : promised);
    }

  private:
    LogPosition position() const { return context_.broker.store.journal().position(); }

    const ChannelContext& context_;
    LogPosition position_before_ = 0;
};

}  // namespace havn::broker
