#include "sim/gateway_world.h"

#include <utility>

#include "sim/gateway_instance.h"
#include "sim/gateway_transport.h"

namespace havn::sim {

using gateway::Config;
using gateway::Route;

std::string pattern(std::uint64_t id, std::size_t size) {
    std::string text(size, ' ');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (id * 31 + i * 7 + i / 26) % 26);
    return text;
}

// An instance as an endpoint: how a connection to it begins is the instance's mood.
class World::Address final : public gateway::Destination {
  public:
    Address(World& world, Instance& instance) : world_(world), instance_(instance) {}

    std::unique_ptr<gateway::Transport> connect(gateway::TransportUser& user) override {
        Random& random = world_.scheduler_.random();
        const Instance::Welcome welcome = instance_.welcome();
        if (welcome == Instance::Welcome::refuse && random.once_in(2)) return nullptr;
        const auto [ours, theirs] = world_.network_.connect();
        auto transport = std::make_unique<SimTransport>(world_, *ours, user);
        if (welcome == Instance::Welcome::accept && random.once_in(4)) {
            instance_.accept(*theirs);
            return transport;
        }
        transport->begin_opening();
        if (welcome == Instance::Welcome::ignore) return transport;
        SimTransport* const opening = transport.get();
        End* const accepted = theirs;
        world_.scheduler_.within(microseconds(50), milliseconds(20),
                                 [this, opening, accepted, welcome, alive = opening->alive()] {
                                     if (alive.expired()) return;
                                     const bool open = welcome == Instance::Welcome::accept;
                                     if (open) instance_.accept(*accepted);
                                     opening->opened(open);
                                 });
        return transport;
    }

  private:
    World& world_;
    Instance& instance_;
};

World::World(Scheduler& scheduler, Network& network, gateway::MemoryBudget& budget,
             const WorldOptions& options)
    : scheduler_(scheduler),
      network_(network),
      keepalive_(options.keepalive),
      memory_(budget),
      turn_(scheduler.now(), scheduler.wall_now(), scheduler.random().next()),
      log_(turn_.clock, turn_.deadlines, metrics_, *this),
      clusters_(*this, metrics_, turn_.retired, *this),
      settings_(clusters_, metrics_),
      environment_({turn_, settings_, clusters_, metrics_, log_, memory_, *this, *this, connections_}),
      connections_(environment_.exchange, metrics_, turn_.retired, *this) {
    for (std::size_t i = 0; i < options.instances; ++i) {
        instances_.push_back(std::make_unique<Instance>(scheduler_, ledger_, i < options.healthy));
    }
    turn([&] {
        reload(options.head_bytes_max);
        gateway::Clusters::Table table;
        for (std::uint32_t i = 0; i < instances_.size(); ++i) {
            table["web"].push_back({std::to_string(i), i + 1});
        }
        clusters_.set_endpoints(table, 1);
    });
}

World::~World() = default;

void World::reload(std::uint32_t head_bytes_max) {
    Config config;
    config.limits.head_bytes_max = head_bytes_max;
    gateway::UpstreamConfig web;
    web.name = "web";
    web.keepalive = keepalive_;
    config.upstreams.push_back(web);
    Route service;
    service.path = "/r";
    service.service = "web";
    service.timeout = seconds(20);
    service.idle_timeout = seconds(5);
    config.routes.push_back(service);
    Route queue;
    queue.path = "/q";
    queue.queue = "jobs";
    queue.body_bytes_max = 2'000;
    queue.idle_timeout = seconds(5);
    config.routes.push_back(queue);
    config.broker.confirm_timeout = seconds(2);
    turn_.buffers.set_capacity(std::max<std::size_t>(head_bytes_max, 32768) +
                               gateway::BufferPool::own_fields_bytes);
    settings_.set(std::make_shared<const Config>(std::move(config)));
}

void World::remove_endpoints() {
    turn([&] { clusters_.set_endpoints({}, 2); });
}

End& World::connect() {
    const auto [ours, theirs] = network_.connect();
    gateway::Http1Connection& connection = connections_.add(environment_.connection, {});
    connection.open(std::make_unique<SimTransport>(*this, *theirs, connection));
    return *ours;
}

void World::begin_turn() {
    turn_.clock.set(scheduler_.now(), scheduler_.wall_now());
    connections_.drive_waiting();
}

void World::end_turn() {
    turn_.deadlines.advance(turn_.clock.now(), [](gateway::Deadlines::Entry& entry) {
        static_cast<gateway::Timer&>(entry).on_deadline();
    });
    turn_.retired.destroy();
    connections_.trim();
    if (wake_) scheduler_.cancel(*std::exchange(wake_, std::nullopt));
    const milliseconds wait = turn_.deadlines.wait(turn_.clock.now());
    const bool at_once = connections_.has_later();
    if (!at_once && wait == gateway::Deadlines::never) return;
    const Duration until = at_once ? Duration(microseconds(1)) : Duration(std::max(wait, milliseconds(1)));
    wake_ = scheduler_.after(until, [this] {
        wake_.reset();
        turn([] {});
    });
}

Result<std::unique_ptr<gateway::Destination>> World::destination(const std::string& address) {
    return std::make_unique<Address>(*this, *instances_.at(std::stoul(address)));
}

std::uint64_t World::failures_of(std::uint32_t instance) {
    return metrics_.instance("web", instance)->failures.value();
}

std::uint64_t World::in_flight_of(std::uint32_t instance) {
    return metrics_.instance("web", instance)->in_flight.value();
}

// ---- the broker

void World::publish(gateway::Job job, Waiter& waiter) {
    std::uint64_t request = 0;
    for (const auto& [name, value] : job.headers) {
        if (name == "path") request = std::stoull(value.substr(value.rfind('/') + 1));
    }
    if (job.body.view() != pattern(request, job.body.size())) {
        ledger_.wrongs.push_back("a job has another's body");
    }
    Random& random = scheduler_.random();
    if (random.once_in(8)) return waiter.on_published(Outcome::blocked);
    const std::uint64_t number = ++published_;
    jobs_.emplace(&waiter, Published{number, request, std::move(job)});
    if (random.once_in(8)) return;  // it is never heard of again
    static constexpr Outcome outcomes[] = {Outcome::confirmed, Outcome::confirmed, Outcome::confirmed,
                                           Outcome::refused, Outcome::unroutable};
    const Outcome outcome = outcomes[random.below(std::size(outcomes))];
    scheduler_.within(microseconds(50), seconds(3),
                      [this, to = &waiter, number, outcome] { settle(to, number, outcome); });
}

void World::settle(Waiter* waiter, std::uint64_t number, Outcome outcome) {
    const auto found = jobs_.find(waiter);
    if (found == jobs_.end() || found->second.number != number) return;
    if (outcome == Outcome::confirmed) ledger_.confirmed.insert(found->second.request);
    jobs_.erase(found);
    turn([&] { waiter->on_published(outcome); });
}

bool World::give_up(Waiter& waiter) {
    jobs_.erase(&waiter);
    return scheduler_.random().once_in(2);
}

}  // namespace havn::sim
