// What becomes of a message its queue gave up on: it is published once more, within its virtual host.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "broker/core/queue/queue.h"

namespace havn::broker {

class Vhost;

// A copy whose properties take no more than `bytes_max` (at least 4,000, which all but the headers fit in):
// without x-death and its like, and if that is not enough, without any headers.
MessagePtr with_fewer_headers(const Message& message, std::size_t bytes_max);

// Publishes the message of `entry` to `exchange` under `key` (its own when not given), with x-death telling
// why and whence. Persistent messages are in the log anew when this returns; the caller settles the old
// delivery afterwards, so a crash between leaves two and never none. Dropped without trace when the exchange
// is not there, nothing is bound, or the message came this way before with no consumer rejecting it, or if
// its record is spoilt. x-death keeps the newest 32 deaths, and is left out when the properties do not fit in
// a frame otherwise. An error: its content cannot be read just now; nothing was done, and the caller keeps
// it.
Result<> dead_letter(Vhost& vhost, const Queue& from, const Entry& entry, DeathReason reason,
                     std::string_view exchange, const std::optional<std::string>& key);

}  // namespace havn::broker
