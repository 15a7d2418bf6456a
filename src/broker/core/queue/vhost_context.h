// What all virtual hosts of a broker share. The broker owns every part of it and outlives its virtual hosts.
#pragma once

#include "broker/core/message/message_store.h"
#include "broker/core/message/turn_clock.h"
#include "broker/core/queue/counters.h"
#include "broker/core/queue/queue_ids.h"
#include "broker/core/queue/queue_scheduler.h"
#include "contract/broker.h"

namespace havn::broker {

struct VhostContext {
    const Config& config;  // the one in force: replaced in place
    TurnClock& clock;
    MessageStore& store;
    QueueScheduler& scheduler;
    QueueIds& ids;
    Counters& counters;
};

}  // namespace havn::broker
