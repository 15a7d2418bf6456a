#include "control/engine/embedded_engine.h"

#include <utility>

#include "base/json_reader.h"
#include "base/text/percent.h"

namespace havn::control {

namespace {

constexpr std::string_view document = "the broker's list of queues";

void read_count(JsonReader& reader, std::string_view key, std::optional<std::uint64_t>& value) {
    if (!reader.has(key)) return;
    std::uint64_t number = 0;
    reader.number(key, number, 0, UINT64_MAX);
    value = number;
}

QueueState read_queue(JsonReader& reader) {
    QueueState queue;
    reader.text("vhost", queue.vhost);
    reader.required_text("name", queue.name);
    if (reader.has("durable")) {
        bool durable = false;
        reader.flag("durable", durable);
        queue.durable = durable;
    }
    read_count(reader, "ready", queue.ready);
    read_count(reader, "unacked", queue.unacked);
    read_count(reader, "consumers", queue.consumers);
    read_count(reader, "bytes", queue.bytes);
    read_count(reader, "published", queue.published);
    read_count(reader, "acknowledged", queue.acknowledged);
    return queue;
}

}  // namespace

io::Task<Result<>> EmbeddedEngine::apply(broker::Config config) {
    rpc::Client client(address_);
    const Result<Json> answer =
        co_await client.request("PUT", "/config", broker::to_json(config), engine_apply_timeout);
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<>();
}

io::Task<Result<std::vector<QueueState>>> EmbeddedEngine::queues() {
    rpc::Client client(address_);
    const Result<Json> answer = co_await client.request("GET", "/queues", nullptr, engine_timeout);
    if (!answer) co_return std::unexpected(answer.error());
    const Json wrapped{{"queues", *answer}};
    std::vector<QueueState> queues;
    JsonReader reader(wrapped, std::string(document));
    reader.objects("queues", [&queues](JsonReader& row) { queues.push_back(read_queue(row)); });
    const Result<> read = reader.result();
    if (!read) co_return std::unexpected(read.error());
    co_return queues;
}

io::Task<Result<std::uint64_t>> EmbeddedEngine::purge(std::string vhost, std::string queue) {
    rpc::Client client(address_);
    std::string target = "/vhosts/" + percent_encode(vhost) + "/queues/" + percent_encode(queue) + "/purge";
    const Result<Json> answer = co_await client.request("POST", std::move(target), nullptr, engine_timeout);
    if (!answer) co_return std::unexpected(answer.error());
    std::uint64_t purged = 0;
    JsonReader reader(*answer, "the broker's answer to a purge");
    reader.number("purged", purged, 0, UINT64_MAX);
    const Result<> read = reader.result();
    if (!read) co_return std::unexpected(read.error());
    co_return purged;
}

io::Task<Result<Json>> EmbeddedEngine::status() {
    rpc::Client client(address_);
    Result<Json> answer = co_await client.request("GET", "/status", nullptr, engine_timeout);
    co_return answer;
}

io::Task<Result<std::string>> EmbeddedEngine::metrics() {
    rpc::Client client(address_);
    Result<std::string> answer = co_await client.text("GET", "/metrics", nullptr, engine_timeout);
    co_return answer;
}

}  // namespace havn::control
