// basic.publish on a channel: from a whole content to the queues, and back: returns, confirms, refusals.
//
// Belongs to its channel. `targets_` are queues of the virtual host, for the length of a call.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/core/channel/confirms.h"
#include "broker/core/channel/content_assembler.h"
#include "broker/core/channel/reply_consumer.h"

namespace havn::broker {

class Publisher {
  public:
    Publisher(const ChannelContext& context, ReplyConsumer& replies)
        : context_(context), replies_(replies), assembler_(context) {}

    Outcome on_publish(const amqp::BasicPublish& method);
    Outcome on_header(std::string_view payload) {
        Outcome outcome = assembler_.on_header(payload);
        if (outcome && assembler_.expects_method()) return finish();
        return outcome;
    }
    Outcome on_body(std::string_view payload) {
        Outcome outcome = assembler_.on_body(payload);
        if (outcome && assembler_.expects_method()) return finish();
        return outcome;
    }
    Outcome on_confirm_select(const amqp::ConfirmSelect& method);

    ContentAssembler& assembler() { return assembler_; }
    const Confirms& confirms() const { return confirms_; }
    void send_confirms(LogPosition durable);
    void close();  // nothing more is confirmed, nothing begun is finished

  private:
    using Content = ContentAssembler::Content;

    Outcome finish() {
        Outcome outcome = publish();
        assembler_.release();
        return outcome;
    }
    Outcome publish();
    Outcome check_properties(const amqp::Properties& properties) const;
    bool choose_targets(const Route& route, const Content& content);
    void return_message(const Content& content);

    const ChannelContext& context_;
    ReplyConsumer& replies_;
    ContentAssembler assembler_;
    Confirms confirms_;
    std::vector<Queue*> targets_;
};

}  // namespace havn::broker
