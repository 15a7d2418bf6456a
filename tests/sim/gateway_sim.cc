// What holds for every request that comes through the gateway, however bad its network, its clients, its
// instances and its broker are.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "gateway/core/policy/memory.h"
#include "sim/gateway_client.h"
#include "sim/gateway_world.h"
#include "sim/network.h"
#include "sim/scheduler.h"
#include "sim/seeds.h"

namespace havn::sim {
namespace {

constexpr seconds calm{60};  // beyond every deadline of the gateway: timeout, answer, idle, lingering

class Scene {
  public:
    Scene(std::uint64_t seed, NetworkFaults faults, const WorldOptions& options)
        : scheduler_(seed),
          network_(scheduler_, faults),
          options_(options),
          resets_(faults.reset_once_in > 0) {
        world_ = std::make_unique<World>(scheduler_, network_, budget_, options);
    }

    Random& random() { return scheduler_.random(); }
    World& world() { return *world_; }
    Scheduler& scheduler() { return scheduler_; }
    const std::vector<std::unique_ptr<Client>>& clients() const { return clients_; }

    void add_client(ClientPlan plan) {
        plan.first_id = next_id_;
        next_id_ += plan.requests;
        scheduler_.within(Duration::zero(), seconds(2),
                          [this, plan] { clients_.push_back(std::make_unique<Client>(*world_, plan)); });
    }

    // Until everybody has what they waited for, and then what must hold in the end.
    void play() {
        scheduler_.run_until(scheduler_.now() + calm);
        for (const std::unique_ptr<Client>& client : clients_) {
            if (client->honest()) EXPECT_TRUE(client->settled()) << "unanswered: " << client->story();
        }
        for (const std::string& wrong : world_->ledger().wrongs) ADD_FAILURE() << wrong;
        for (const std::uint64_t request : world_->ledger().unrepeatable) {
            EXPECT_LE(world_->ledger().heads_seen[request], 1) << "request " << request << " was sent again";
        }
        for (std::uint32_t instance = 1; instance <= options_.healthy; ++instance) {
            if (resets_) break;  // who broke a connection cannot be told from here
            EXPECT_EQ(world_->failures_of(instance), 0u)
                << "instance " << instance << " is well, and was blamed";
        }
        for (const std::unique_ptr<Client>& client : clients_) client->close();
        scheduler_.run_until(scheduler_.now() + calm);
        const gateway::Metrics& metrics = world_->metrics();
        EXPECT_EQ(metrics.connections_open.value(), 0u);
        EXPECT_EQ(metrics.requests_in_flight.value(), 0u);
        for (std::uint32_t i = 1; i <= options_.instances; ++i) EXPECT_EQ(world_->in_flight_of(i), 0u);
        world_->remove_endpoints();
        EXPECT_EQ(world_->clusters().idle_connections(), 0u);
        world_.reset();
        EXPECT_EQ(budget_.used(), 0u);
    }

  private:
    Scheduler scheduler_;
    Network network_;
    WorldOptions options_;
    bool resets_;
    gateway::MemoryBudget budget_{1u << 20};
    std::unique_ptr<World> world_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::uint64_t next_id_ = 1;
};

NetworkFaults any_faults(Random& random) {
    NetworkFaults faults;
    faults.pipe_bytes_min = 256;
    faults.delay_max = random.once_in(4) ? milliseconds(5) : milliseconds(1);
    return faults;
}

ClientPlan any_plan(Random& random) {
    return {.requests = random.between(1, 4),
            .pipelines = random.once_in(3),
            .jobs = random.once_in(4),
            .trickles = random.once_in(6),
            .vanishes = random.once_in(6),
            .never_reads = random.once_in(12)};
}

TEST(Gateway, every_request_gets_its_answer_and_no_healthy_endpoint_is_blamed) {
    for_seeds(200, [](std::uint64_t seed) {
        Random random(seed);
        Scene scene(seed, any_faults(random), {.instances = 3, .healthy = random.between(0, 3)});
        const std::uint64_t clients = random.between(2, 10);
        for (std::uint64_t i = 0; i < clients; ++i) scene.add_client(any_plan(random));
        scene.play();
    });
}

TEST(Gateway, every_request_gets_its_answer_where_connections_break_at_any_point) {
    for_seeds(150, [](std::uint64_t seed) {
        Random random(seed);
        NetworkFaults faults = any_faults(random);
        faults.reset_once_in = random.between(20, 400);
        Scene scene(seed, faults, {.instances = 3, .healthy = random.between(1, 3)});
        for (int i = 0; i < 8; ++i) scene.add_client(any_plan(random));
        scene.play();
    });
}

TEST(Gateway, every_get_is_answered_well_where_all_is_well) {
    for_seeds(200, [](std::uint64_t seed) {
        Random random(seed);
        Scene scene(seed, any_faults(random), {.instances = 2, .healthy = 2});
        for (int i = 0; i < 6; ++i) {
            scene.add_client({.requests = 3, .pipelines = random.once_in(3), .bodies = false});
        }
        scene.play();
        for (const std::unique_ptr<Client>& client : scene.clients()) {
            EXPECT_EQ(client->answered(), (std::vector<unsigned>{200, 200, 200})) << client->story();
        }
    });
}

TEST(Gateway, limits_may_change_under_way) {
    for_seeds(200, [](std::uint64_t seed) {
        Random random(seed);
        Scene scene(seed, any_faults(random), {.instances = 3, .healthy = 1, .head_bytes_max = 65'536});
        for (int i = 0; i < 6; ++i) {
            scene.add_client(
                {.requests = 2, .head_bytes = random.between(1'000, 60'000), .bodies = random.once_in(2)});
        }
        for (int i = 0; i < 4; ++i) {
            scene.scheduler().within(milliseconds(1), seconds(4),
                                     [&scene, limit = random.once_in(2) ? 16'384u : 65'536u] {
                                         scene.world().turn([&] { scene.world().reload(limit); });
                                     });
        }
        scene.play();
    });
}

}  // namespace
}  // namespace havn::sim
