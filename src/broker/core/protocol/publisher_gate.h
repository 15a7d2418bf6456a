// Holds a client's publishes back while an alarm lasts, and tells the client so.
//
// Only those who publish are held back. Whoever asked for it is told, once; the gateway of this host before
// it publishes, so that it need not hand over a job to find out. Belongs to its connection, as the outbox
// does.
#pragma once

#include "broker/core/protocol/outbox.h"

namespace havn::broker {

class PublisherGate {
  public:
    PublisherGate(const ConnectionContext& context, Outbox& out, bool gateway)
        : context_(context), out_(out), gateway_(gateway) {}

    // The connection is open from now on; `wants_blocked`: its client understands connection.blocked.
    void open(bool wants_blocked);
    void close() { open_ = false; }
    void on_publish() {  // a publish has begun, or would begin
        published_ = true;
        if (!context_.alarm.empty()) on_alarm();
    }
    void on_alarm();  // one has begun, is another now, or is over
    bool held_back() const { return held_back_; }

  private:
    const ConnectionContext& context_;
    Outbox& out_;
    bool gateway_;
    bool open_ = false, wants_blocked_ = false;
    bool published_ = false;     // ever
    bool told_blocked_ = false;  // as a publisher or as the gateway
    bool held_back_ = false;
};

}  // namespace havn::broker
