// One basic.consume: who takes messages from a queue. Owned by its channel, known to its queue.
#pragma once

#include <cstdint>
#include <string>

namespace havn::broker {

class Channel;
class Queue;

struct Consumer {
    std::string tag;
    Channel* channel = nullptr;
    Queue* queue = nullptr;
    bool no_ack = false;
    bool exclusive = false;
    std::int32_t priority = 0;   // x-priority: higher is served first while it has credit
    std::uint32_t prefetch = 0;  // unacknowledged messages it may hold; 0 = any number
    std::uint32_t unacked = 0;
};

}  // namespace havn::broker
