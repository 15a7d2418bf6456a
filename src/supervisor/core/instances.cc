#include "supervisor/core/instances.h"

#include <algorithm>
#include <functional>

#include "base/assert.h"

namespace havn::supervisor {

Instance& Instances::add(Instance given) {
    const InstanceId id = given.id;
    const auto [entry, is_new] = all_.emplace(id, std::move(given));
    HAVN_ASSERT(is_new, "ids of instances are unique");
    next_id_ = std::max(next_id_, id + 1);
    const Instance& instance = entry->second;
    ++by_stop_rank_[stop_rank(instance)];
    if (instance.role == Role::platform) parts_.insert(id);
    if (!instance.life.address.empty()) by_address_[instance.life.address] = id;
    touched_.insert(id);
    return entry->second;
}

// Its address, where no other has it by now.
void Instances::unlist(const Instance& instance) {
    const auto address = by_address_.find(instance.life.address);
    if (address != by_address_.end() && address->second == instance.id) by_address_.erase(address);
}

void Instances::remove(InstanceId id) {
    const Instance& instance = *look_up(id);
    --by_stop_rank_[stop_rank(instance)];
    parts_.erase(id);
    unlist(instance);
    timers_.erase({instance.timer, id});
    touched_.erase(id);
    gone_.push_back(id);
    all_.erase(id);
}

Instance* Instances::look_up(InstanceId id) {
    ++visits_;
    const auto found = all_.find(id);
    if (found == all_.end()) return nullptr;
    touched_.insert(id);
    return &found->second;
}

const Instance* Instances::find(InstanceId id) const {
    const auto found = all_.find(id);
    return found == all_.end() ? nullptr : &found->second;
}

const Instance* Instances::find_address(const std::string& address) const {
    const auto found = by_address_.find(address);
    return found == by_address_.end() ? nullptr : find(found->second);
}

bool Instances::part_runs(std::string_view name) const {
    return std::ranges::any_of(parts_, [this, name](InstanceId id) {
        const Instance& part = all_.at(id);
        return part.name == name && part.life.pid != 0;
    });
}

void Instances::begin_life(Instance& instance, const Started& life) {
    unlist(instance);
    instance.life = life;
    if (!life.address.empty()) by_address_[life.address] = instance.id;
}

void Instances::schedule(Instance& instance) {
    const Time next = std::min(instance.deadline, instance.probe_at);
    if (next == instance.timer) return;
    timers_.erase({instance.timer, instance.id});
    instance.timer = next;
    if (next != Time::max()) timers_.insert({next, instance.id});
}

Instance* Instances::due(Time now) {
    if (timers_.empty() || timers_.begin()->first > now) return nullptr;
    return look_up(timers_.begin()->second);
}

std::size_t Instances::lowest_stop_rank() const {
    const auto found = std::ranges::find_if(by_stop_rank_, std::identity{});
    return static_cast<std::size_t>(found - by_stop_rank_.begin());
}

Touched Instances::take_touched() {
    Touched touched{{touched_.begin(), touched_.end()}, std::exchange(gone_, {})};
    touched_.clear();
    return touched;
}

}  // namespace havn::supervisor
