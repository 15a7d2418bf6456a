#include "broker/core/broker.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/assert.h"

namespace havn::broker {

namespace {

// Compares all of it whatever differs, so the time taken tells nothing.
bool same_secret(std::string_view a, std::string_view b) {
    unsigned difference = a.size() == b.size() ? 0 : 1;
    for (std::size_t i = 0; i < b.size(); ++i) {
        difference |=
            static_cast<unsigned char>(a.empty() ? 0 : a[i % a.size()]) ^ static_cast<unsigned char>(b[i]);
    }
    return difference == 0;
}

bool names(const Config& config, std::string_view vhost) {
    return std::ranges::find(config.vhosts, vhost, &VhostConfig::name) != config.vhosts.end();
}

std::string shown(const Vhost& vhost, std::string_view queue) {
    return vhost.name() == "/" ? std::string(queue) : fmt::format("{}/{}", vhost.name(), queue);
}

}  // namespace

Broker::Broker(const Config& config, Journal& journal, Waker& waker, Time now, WallTime wall)
    : config_(config),
      clock_(now, wall),
      store_(journal),
      scheduler_(clock_, store_),
      ids_(journal),
      names_(static_cast<std::uint64_t>(wall.time_since_epoch().count())),
      vhost_context_{config_, clock_, store_, scheduler_, ids_, counters_},
      recovery_(vhosts_, vhost_context_),
      context_{.config = config_,
               .clock = clock_,
               .store = store_,
               .scheduler = scheduler_,
               .counters = counters_,
               .names = names_,
               .host = *this,
               .waker = waker} {
    set_limits();
    for (const VhostConfig& wanted : config_.vhosts) {  // recovery goes by their policies
        auto& slot = vhosts_[wanted.name];
        slot = std::make_unique<Vhost>(wanted.name, vhost_context_);
        slot->configure(wanted);
    }
}

Broker::~Broker() {
    HAVN_ASSERT(connections_.empty(), "connections end before the broker does");
}

Vhost* Broker::find(std::string_view vhost) const {
    const auto found = vhosts_.find(vhost);
    return found == vhosts_.end() ? nullptr : found->second.get();
}

void Broker::set_limits() {
    store_.set_limits(config_.memory_bytes, config_.memory_bytes_for_content);
}

Result<> Broker::apply(const Config& config) {
    recovery_.rewrite_outdated();
    config_ = config;
    set_limits();
    suspend_unnamed();
    std::string in_the_way;
    for (const VhostConfig& wanted : config_.vhosts) {
        auto& slot = vhosts_[wanted.name];
        if (!slot) slot = std::make_unique<Vhost>(wanted.name, vhost_context_);
        std::vector<std::string> queues;
        slot->apply(wanted, connections_.empty(), queues);
        for (const std::string& queue : queues) {
            in_the_way += (in_the_way.empty() ? "'" : ", '") + shown(*slot, queue) + "'";
        }
    }
    scheduler_.run();  // recovered queues and messages register their expiry
    if (in_the_way.empty()) return {};
    return fail(Error::Kind::conflict,
                "the manifest's queue " + in_the_way +
                    " exists already, and not as a durable queue that stays: a client declared it",
                "delete it (its messages go), or stop the client that declared it, which must say durable");
}

void Broker::suspend_unnamed() {
    for (auto& [name, vhost] : vhosts_) {
        if (!vhost->served() || names(config_, name)) continue;
        const std::vector<Connection*> all(connections_.begin(), connections_.end());
        for (Connection* connection : all) {
            if (connection->vhost() == vhost.get()) {
                connection->shut_down(fmt::format("vhost '{}' is deleted", name),
                                      Time(milliseconds(clock_.now())));
            }
        }
        vhost->suspend();
    }
}

// Compares all of it whatever the user, so the time taken tells nothing.
bool Broker::may_log_in(std::string_view user, std::string_view password, bool loopback) const {
    const auto found = std::ranges::find(config_.users, user, &User::name);
    if (found == config_.users.end()) return same_secret(password, "no such user, no password") && false;
    return same_secret(password, found->password) && (loopback || !found->loopback_only);
}

std::expected<Vhost*, Fault> Broker::open_vhost(std::string_view name, std::string_view user) {
    Vhost* vhost = find(name);
    if (!vhost || !vhost->served()) return refuse(ReplyCode::not_allowed, "vhost {} not found", name);
    const auto found = std::ranges::find(config_.users, user, &User::name);
    if (found == config_.users.end() || std::ranges::find(found->vhosts, name) == found->vhosts.end()) {
        return refuse(ReplyCode::not_allowed, "access to vhost '{}' refused for user '{}'", name, user);
    }
    return vhost;
}

Time Broker::next_deadline() const {
    const Milliseconds next = std::min(memory_.shed_at(), scheduler_.next_due());
    return next == never ? Time::max() : Time(milliseconds(next));
}

void Broker::on_time(Time now, WallTime wall) {
    clock_.set(now, wall);
    scheduler_.on_time();
    if (memory_.shed_at() <= clock_.now()) shed_stuck();
    scheduler_.run();
    check_memory();
}

void Broker::check_memory() {
    if (memory_.update(store_.used(), store_.budget().limit(), clock_.now())) update_alarm();
    if (!store_.somebody_waits_for_memory || !store_.may_fetch_large()) return;
    store_.somebody_waits_for_memory = false;
    for (auto& [vhost_name, vhost] : vhosts_) {
        for (auto& [name, queue] : vhost->queues()) queue->on_credit();
    }
    for (Connection* connection : connections_) connection->on_memory_relieved();
    scheduler_.run();
}

void Broker::shed_stuck() {
    const std::vector<Connection*> holders(connections_.begin(), connections_.end());
    std::vector<std::uint64_t> stuck;
    for (const Connection* holder : holders) stuck.push_back(holder->stuck_bytes());
    for (const std::size_t chosen :
         memory_.choose_to_shed(stuck, store_.used(), store_.budget().limit(), clock_.now())) {
        holders[chosen]->shed();
    }
    check_memory();
}

void Broker::set_alarm(std::string_view reason) {
    disk_alarm_ = reason;
    update_alarm();
}

void Broker::update_alarm() {
    context_.alarm = !disk_alarm_.empty() ? disk_alarm_
                     : memory_.alarm()    ? "the broker is low on memory"
                                          : "";
    for (Connection* connection : connections_) connection->on_alarm();
}

std::vector<QueueStats> Broker::queue_stats() const {
    std::vector<QueueStats> stats;
    for (const auto& [vhost_name, vhost] : vhosts_) {
        if (!vhost->served()) continue;
        for (const auto& [name, queue] : vhost->queues()) {
            const Queue::Tally& tally = queue->tally();
            stats.push_back({.vhost = vhost_name,
                             .name = name,
                             .durable = queue->stored(),
                             .ready = queue->waiting_count(),
                             .unacked = queue->unacked_count(),
                             .consumers = queue->consumers().size(),
                             .bytes = queue->bytes(),
                             .published = tally.published,
                             .delivered = tally.delivered,
                             .acknowledged = tally.acknowledged});
        }
    }
    std::ranges::sort(stats, {}, [](const QueueStats& one) { return std::tie(one.vhost, one.name); });
    return stats;
}

std::vector<std::string> Broker::parked_queues() const {
    std::vector<std::string> names;
    for (const auto& [vhost_name, vhost] : vhosts_) {
        for (const auto& [name, id] : vhost->parked_queues()) names.push_back(shown(*vhost, name));
    }
    std::ranges::sort(names);
    return names;
}

std::size_t Broker::vhosts() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(vhosts_, [](const auto& named) { return named.second->served(); }));
}

Result<std::uint64_t> Broker::purge(std::string_view vhost, std::string_view name) {
    Vhost* found = find(vhost);
    Queue* queue = found && found->served() ? found->find_queue(name) : nullptr;
    if (!queue) return fail(Error::Kind::not_found, "no queue '" + std::string(name) + "'");
    return queue->purge();
}

}  // namespace havn::broker
