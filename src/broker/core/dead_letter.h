// What becomes of a message its queue gave up on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "broker/core/queue.h"

namespace havn::broker {

class Vhost;

// Publishes the message of `entry` to `exchange` under `key` (its own when not given), with x-death telling
// why and whence. Persistent messages are in the log anew when this returns; the caller settles the old
// delivery afterwards, so a crash between leaves two and never none. Dropped without trace when the exchange
// is not there, nothing is bound, or the message came this way before with no consumer rejecting it, or if
// its record is spoilt. An error: its content cannot be read just now; nothing was done, and the caller keeps
// it.
Result<> dead_letter(Vhost& vhost, const Queue& from, const Entry& entry, DeathReason reason,
                     std::string_view exchange, const std::optional<std::string>& key);

}  // namespace havn::broker
