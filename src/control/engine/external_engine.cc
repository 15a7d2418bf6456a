#include "control/engine/external_engine.h"

namespace havn::control {

namespace {

std::unexpected<Error> not_ours() {
    return fail(Error::Kind::not_found, "the queues are those of the broker at `[broker] url`",
                "ask that broker");
}

}  // namespace

io::Task<Result<>> ExternalEngine::apply(broker::Config) {
    co_return Result<>();  // what it holds is declared by whoever runs it
}

io::Task<Result<std::vector<QueueState>>> ExternalEngine::queues() {
    co_return not_ours();
}

io::Task<Result<std::uint64_t>> ExternalEngine::purge(std::string, std::string) {
    co_return not_ours();
}

io::Task<Result<Json>> ExternalEngine::status() {
    co_return not_ours();
}

io::Task<Result<std::string>> ExternalEngine::metrics() {
    co_return not_ours();
}

}  // namespace havn::control
