// What control asks of the engine behind the queues: put what is configured in force, how deep the queues
// are, empty one, how the engine is.
//
// The embedded broker is one engine (embedded_engine.h). One that runs elsewhere is another: today it is
// asked nothing (external_engine.h); RabbitMQ's management API is to come, as one more file beside these.
// What an engine cannot know is nullopt, never guessed: 0 consumers and "consumers not known" are different
// things to whoever scales workers.
//
// Every call ends: with an answer, with the engine's own refusal, or with Error::unavailable when it does not
// answer within engine_timeout (apply(): engine_apply_timeout). Error::not_found: there is no such queue, or
// the engine answers no such question; the remedy says whom to ask. An engine outlives its calls; calls may
// run side by side.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "contract/broker.h"
#include "io/asio.h"

namespace havn::control {

inline constexpr Duration engine_timeout = seconds(3);
inline constexpr Duration engine_apply_timeout = seconds(5);

struct QueueState {
    std::string vhost = "/", name;
    std::optional<bool> durable;
    std::optional<std::uint64_t> ready;    // messages that wait for a consumer
    std::optional<std::uint64_t> unacked;  // delivered, and not acknowledged
    std::optional<std::uint64_t> consumers;
    std::optional<std::uint64_t> bytes;      // of the bodies of both
    std::optional<std::uint64_t> published;  // since the engine began to count; a rate is a difference of two
    std::optional<std::uint64_t> acknowledged;

    // Messages that somebody has still to deal with.
    std::optional<std::uint64_t> backlog() const {
        if (!ready || !unacked) return std::nullopt;
        return *ready + *unacked;
    }
};

class QueueEngine {
  public:
    virtual ~QueueEngine() = default;

    // Queues, their policies, users and limits that hold from now on; nothing is deleted. Error::conflict
    // names what is in the way; the rest is in force.
    virtual io::Task<Result<>> apply(broker::Config config) = 0;

    virtual io::Task<Result<std::vector<QueueState>>> queues() = 0;

    // Drops what is ready; how many messages went.
    virtual io::Task<Result<std::uint64_t>> purge(std::string vhost, std::string queue) = 0;

    // What the engine says of itself, for people and `havn doctor`: GET /v1/broker in docs/api.md. Keys it
    // does not know are absent.
    virtual io::Task<Result<Json>> status() = 0;

    // Its figures in Prometheus' text format.
    virtual io::Task<Result<std::string>> metrics() = 0;
};

// GET /v1/queues. What is not known is absent.
Json to_json(const std::vector<QueueState>& queues);

}  // namespace havn::control
