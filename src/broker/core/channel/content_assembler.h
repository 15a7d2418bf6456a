// A publish as it comes: basic.publish, a content header, and body frames until the announced size is there.
//
// What arrived within one input is referred to, not copied; detach_from_input() makes copies before the input
// goes. A body in one frame is never copied. At most the announced size is kept, which the configuration
// bounds; what is kept of unfinished bodies is counted in ConnectionHoldings. A frame that is out of place is
// a fault.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "broker/core/channel/channel_context.h"
#include "wire/amqp/methods.h"
#include "wire/amqp/properties.h"

namespace havn::broker {

class ContentAssembler {
  public:
    // A publish that is whole. Views live until the next call, or the end of the input.
    struct Content {
        std::string_view exchange, routing_key;
        bool mandatory = false;
        std::string_view raw_properties;
        amqp::Properties properties;  // views into raw_properties
        std::string_view body;
    };

    explicit ContentAssembler(const ChannelContext& context) : context_(context) {}
    ContentAssembler(const ContentAssembler&) = delete;
    ContentAssembler& operator=(const ContentAssembler&) = delete;
    ~ContentAssembler() { drop(); }

    bool expects_method() const { return expected_ == Expected::method; }
    std::string_view expected_frame() const { return expected_ == Expected::header ? "header" : "body"; }

    // After on_header() or on_body(): the content is whole when a method is expected again. It is content(),
    // and release() follows when it has been used.
    void begin(const amqp::BasicPublish& method);
    Outcome on_header(std::string_view payload);
    Outcome on_body(std::string_view payload);
    Content& content() { return content_; }
    void release() {
        if (!body_.empty()) drop();
    }

    void detach_from_input();
    void drop();  // what has begun is not wanted any more

  private:
    enum class Expected : std::uint8_t { method, header, body };

    Outcome complete(std::string_view body);
    void note_unfinished();

    const ChannelContext& context_;
    Expected expected_ = Expected::method;
    Content content_;
    std::uint64_t body_size_ = 0;    // as announced
    std::string body_;               // when it comes in several frames
    std::size_t counted_bytes_ = 0;  // of it, in the holdings
    std::string kept_exchange_, kept_key_, kept_properties_;
    bool detached_ = false;  // content_ refers to kept_*
};

}  // namespace havn::broker
