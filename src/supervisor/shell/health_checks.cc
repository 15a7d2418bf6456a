#include "supervisor/shell/health_checks.h"

#include <fmt/format.h>

#include "supervisor/shell/moment.h"

namespace havn::supervisor {

void HealthChecks::check(InstanceId id) {
    const Instance* const instance = context_.table.find(id);
    if (!instance || instance->life.pid == 0) return;
    const std::optional<HealthCheck>& health = instance->program->health;
    if (instance->role == Role::platform) {
        context_.loop.spawn(ask_part(this, id, instance->life.handle, health->timeout));
    } else {
        context_.loop.spawn(ask_service(this, id, instance->life, health));
    }
}

// Whether a part still runs its loop: it answers over its link, or it is frozen.
io::Task<void> HealthChecks::ask_part(HealthChecks* self, InstanceId part, std::string handle,
                                      milliseconds timeout) {
    const Context& context = self->context_;
    io::Link* const link = context.parts.to(part);
    if (!link) co_return;
    const std::uint64_t before = context.parts.messages_of(part);
    std::ignore = link->send(to_json(link::Ping{}));
    co_await io::sleep_for(timeout);
    const Instance* const asked = context.table.find(part);
    if (!asked || asked->life.pid == 0 || asked->life.handle != handle) co_return;
    const bool answered = context.parts.messages_of(part) > before;
    context.table.probed(part, answered, fmt::format("no answer to a ping within {} ms", timeout.count()),
                         moment());
    context.turn.finish();
}

// What a service has to do that nobody answers for.
std::string HealthChecks::why_refused(const Instance& instance) {
    const std::string& address = instance.life.address;
    std::string text = fmt::format("nothing listens on {}: it must listen on {}:$PORT", address,
                                   address.substr(0, address.rfind(':')));
    const std::string elsewhere = context_.runtime.answers_elsewhere(instance.id);
    if (!elsewhere.empty()) text += fmt::format(", and listens on {} instead", elsewhere);
    return text;
}

io::Task<void> HealthChecks::ask_service(HealthChecks* self, InstanceId service, Started life,
                                         std::optional<HealthCheck> health) {
    ProbeResult result = co_await probe(life.address, health);
    const Context& context = self->context_;
    const Instance* probed = context.table.find(service);
    if (!probed || probed->life != life) co_return;  // it was about an earlier life
    // Before anybody is sent there: whether it is this program that answers.
    if (result.healthy && !probed->ready_now) {
        if (const std::optional<std::string> other = context.runtime.impostor(service)) {
            result = {false, *other};
        }
    }
    if (result.refused) result.found = self->why_refused(*probed);
    const std::string error = probed->error;
    context.table.probed(service, result.healthy, result.found, moment());
    probed = context.table.find(service);
    if (probed && probed->error != error) context.state.changed();
    context.turn.finish();
}

}  // namespace havn::supervisor
