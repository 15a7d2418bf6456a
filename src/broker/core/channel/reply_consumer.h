// Direct reply-to: a channel that consumes from the well-known name gets replies without a queue between.
//
// A request carries the well-known name as its reply-to; on its way the name is replaced by the address of
// the requesting channel, a token nobody guesses. A publish to the default exchange under that address goes
// straight to the channel, if it is of the same virtual host. To a client that does not read, a reply is
// lost, as it is to one that has gone.
//
// Belongs to its channel, and is registered with the broker while it has an address in use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/core/channel/channel_context.h"
#include "broker/core/channel/content_assembler.h"

namespace havn::broker {

inline constexpr std::string_view reply_to_name = "amq.rabbitmq.reply-to";

class ReplyConsumer {
  public:
    // `tags` is the channel's counter of delivery tags.
    ReplyConsumer(const ChannelContext& context, std::uint64_t& tags) : context_(context), tags_(tags) {}
    ReplyConsumer(const ReplyConsumer&) = delete;
    ReplyConsumer& operator=(const ReplyConsumer&) = delete;
    ~ReplyConsumer() { close(); }

    bool is(std::string_view consumer_tag) const { return registered_ && tag_ == consumer_tag; }
    Outcome start(std::string tag, const amqp::BasicConsume& method);
    void cancel();
    void close() { cancel(); }

    // Whether somebody waits for replies at such an address: servers ask before they do the work.
    bool is_somebody_at(std::string_view address) const;

    // Puts the address of this channel into a request that asks for it.
    Outcome put_address(ContentAssembler::Content& content);
    // False: the content is not addressed to a channel, or that takes no more.
    bool forward(const ContentAssembler::Content& content) const;

  private:
    ReplyConsumer* find(std::string_view token) const;  // of the same virtual host
    bool deliver(const Message::Parts& reply);

    const ChannelContext& context_;
    std::uint64_t& tags_;
    std::string tag_, token_;
    bool registered_ = false;
    std::string rewritten_;  // properties with the address put in
};

}  // namespace havn::broker
