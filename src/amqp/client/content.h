// The content of one channel as it arrives: a method that announces it (basic.deliver, basic.return), its
// header, then its body in as many frames as the broker likes.
//
// A body that comes in one frame is not copied. One in several is gathered in memory taken from a Budget, all
// of its size at the first frame; where the budget or body_bytes_max does not allow it, it is skipped as it
// arrives and the delivery is oversized(). The body of what was returned is always skipped. What the views
// point to is good until the next call.
//
// The budget outlives its contents.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "amqp/client/handler.h"
#include "base/budget.h"

namespace havn::amqp::client {

class Content {
  public:
    enum class Step : std::uint8_t {
        more,      // the content goes on
        complete,  // all of it is here: delivery() or returned(), then clear()
        bad,       // no such frame belongs here, or it does not hold what it should
    };

    Content(Budget& budget, std::uint64_t body_bytes_max) : held_(budget), body_bytes_max_(body_bytes_max) {}

    void begin(const BasicDeliver& method);
    void begin(const BasicReturn& method);
    Step take_header(std::string_view payload);
    Step take_body(std::string_view payload);
    void clear();

    bool expected() const { return stage_ != Stage::none; }  // frames of a content, and nothing else
    bool is_delivery() const { return is_delivery_; }
    bool oversized() const { return skipped_ && is_delivery_; }
    Delivery delivery() const;
    Returned returned() const;

  private:
    enum class Stage : std::uint8_t { none, header, body };

    Step end();
    bool gather(std::string_view payload);

    Budget::Share held_;
    std::uint64_t body_bytes_max_;
    Stage stage_ = Stage::none;
    bool is_delivery_ = false, redelivered_ = false, skipped_ = false;
    std::uint16_t reply_code_ = 0;
    std::uint64_t delivery_tag_ = 0, body_size_ = 0, body_left_ = 0;
    std::string consumer_tag_, exchange_, routing_key_, properties_, gathered_;
    std::string_view body_;
};

}  // namespace havn::amqp::client
