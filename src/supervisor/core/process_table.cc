#include "supervisor/core/process_table.h"

#include <utility>

#include "base/assert.h"

namespace havn::supervisor {

void ProcessTable::begin(Moment now) {
    rollout_.set_targets(nullptr);
    reconcile(now);
}

void ProcessTable::apply(const Desired& desired, Moment now) {
    if (stopping_) return;
    rollout_.set_targets(&desired);
    reconcile(now);
}

Result<> ProcessTable::restart(const std::string& app, const std::string& name, std::uint32_t number,
                               Moment now) {
    if (stopping_) return fail(Error::Kind::unavailable, "the platform is stopping");
    const std::string shown = shown_name(app, name);
    if (rollout_.ask_restart(shown, number) == 0) {
        const std::string what = number == 0 ? shown : shown + "." + std::to_string(number);
        return fail(Error::Kind::not_found, "no running instance of '" + what + "'",
                    fmt::format("there are: {}", fmt::join(rollout_.target_names(), ", ")));
    }
    reconcile(now);
    return {};
}

void ProcessTable::stop_all(Moment now) {
    if (!stopping_) effects_.say(log::Level::info, "stopping everything");
    stopping_ = true;
    events_.stop();
    reconcile(now);
}

void ProcessTable::kill_all(Moment now) {
    stopping_ = true;
    events_.stop();
    std::vector<InstanceId> ids;
    for (const auto& [id, instance] : instances_.all()) ids.push_back(id);
    for (const InstanceId id : ids) {
        Instance& instance = *instances_.look_up(id);
        instance.wanted = false;
        events_.kill(instance, now);
    }
    reconcile(now);
}

void ProcessTable::started(InstanceId id, const Started& life, Moment now) {
    Instance* const instance = instances_.look_up(id);
    if (!instance) return;
    events_.started(*instance, life, now);
    reconcile(now);
}

void ProcessTable::ended(InstanceId id, const Exit& exit, const std::string& error, Moment now) {
    Instance* const instance = instances_.look_up(id);
    if (!instance) return;
    events_.ended(*instance, exit, error, now);
    reconcile(now);
}

void ProcessTable::exit_known(InstanceId id, const Exit& exit) {
    Instance* const instance = instances_.look_up(id);
    if (!instance) return;
    if (instance->reason == instance->exit.text) instance->reason = exit.text;
    instance->exit = exit;
}

void ProcessTable::probed(InstanceId id, bool healthy, const std::string& found, Moment now) {
    Instance* const instance = instances_.look_up(id);
    if (!instance) return;
    events_.probed(*instance, healthy, found, now);
    reconcile(now);
}

void ProcessTable::reported_ready(InstanceId id, Moment now) {
    Instance* const instance = instances_.look_up(id);
    if (!instance) return;
    if (instance->state == State::starting) events_.fire(*instance, Event::probe_passed, now);
    reconcile(now);
}

void ProcessTable::drained(const std::string& endpoint, Moment now) {
    const Instance* const found = instances_.find_address(endpoint);
    if (!found || found->state != State::draining) return;
    events_.fire(*instances_.look_up(found->id), Event::drained, now);
    reconcile(now);
}

void ProcessTable::tick(Moment now) {
    events_.deadlines_passed(now);
    reconcile(now);
}

void ProcessTable::adopt(Instance instance, Moment now) {
    const InstanceId id = instance.id;
    rollout_.place(instance);
    events_.adopt(std::move(instance), now);
    HAVN_ASSERT(find(id), "what was taken over is there");
}

void ProcessTable::state_changed(Instance& instance, State before) {
    rollout_.note(instance, before);
    const bool was_ready = before == State::ready, is_ready = instance.state == State::ready;
    if (instance.role != Role::service || was_ready == is_ready) return;
    Endpoint endpoint{instance.life.address, instance.number};
    if (is_ready) {
        endpoints_.join(instance.shown(), std::move(endpoint));
    } else {
        endpoints_.leave(instance.shown(), std::move(endpoint));
    }
}

void ProcessTable::publish() {
    if (endpoints_.settle()) effects_.add(Publish{});
}

void ProcessTable::reconcile(Moment now) {
    HAVN_ASSERT(rollout_.has_targets(), "begin or apply comes first: without targets everything would stop");
    while (reconcile_once(now)) {
    }
    publish();
}

// One step of what is left to do; false when nothing is.
bool ProcessTable::reconcile_once(Moment now) {
    if (rollout_.remove_gone()) return true;
    if (!stopping_) return rollout_.step(now);
    rollout_.drop_work();
    return advance_stop(now);
}

bool ProcessTable::advance_stop(Moment now) {
    if (instances_.all().empty()) {
        if (!std::exchange(finished_, true)) effects_.add(Finished{});
        return false;
    }
    const std::size_t rank = instances_.lowest_stop_rank();
    if (rank < next_stop_rank_) return false;  // those that go now have been told
    next_stop_rank_ = rank + 1;
    std::vector<InstanceId> told;
    for (const auto& [id, instance] : instances_.all()) {
        if (stop_rank(instance) == rank) told.push_back(id);
    }
    for (const InstanceId id : told) rollout_.retire(*instances_.look_up(id), now);
    return true;
}

}  // namespace havn::supervisor
