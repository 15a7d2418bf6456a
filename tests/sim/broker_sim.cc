// The broker under everything that goes wrong: connections that break in the middle of a frame, clients that
// do not read, a disk that forgets what was not synced and now and then cannot be read, crashes. What was
// promised holds all the same.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "broker/log/lossy_disk_testing.h"
#include "sim/broker_client.h"
#include "sim/broker_host.h"
#include "sim/broker_ledger.h"
#include "sim/network.h"
#include "sim/scheduler.h"
#include "sim/seeds.h"

namespace havn::sim {
namespace {

broker::Config two_vhosts() {
    broker::Config config;
    config.vhosts = {{"/", {}}, {"shop", {}}};
    config.users = {{"guest", "guest", true, {"/", "shop"}}};
    config.memory_bytes_for_content = 4'096;  // most content is read back from the log
    config.frame_bytes_max = 8'192;
    return config;
}

class BrokerRun {
  public:
    explicit BrokerRun(std::uint64_t seed)
        : scheduler_(seed),
          network_(scheduler_, {.reset_once_in = 400 + scheduler_.random().below(4'000)}),
          host_({scheduler_, network_, disk_, ledger_}, two_vhosts()) {}

    void run() {
        for (const char* vhost : {"/", "shop"}) {
            add(Role::publisher, vhost);
            add(Role::worker, vhost);
            if (scheduler_.random().once_in(2)) add(Role::worker, vhost);
        }
        if (scheduler_.random().once_in(8)) add(Role::flooder, "/");
        plan_crashes();
        fail_reads_now_and_then();
        scheduler_.run_until(scheduler_.now() + seconds(3));
        calm_down();
    }

    std::size_t confirmed() const { return ledger_.confirmed(); }

  private:
    void add(Role role, const char* vhost) {
        clients_.push_back(std::make_unique<BrokerClient>(scheduler_, host_, ledger_, role, vhost));
    }

    void plan_crashes() {
        for (std::uint64_t left = scheduler_.random().below(4); left > 0; --left) {
            scheduler_.within(milliseconds(50), seconds(3), [this] { host_.crash(); });
        }
    }

    void fail_reads_now_and_then() {
        Random& random = scheduler_.random();
        disk_.reads_fail = static_cast<int>(random.below(3));
        if (!calm_) {
            scheduler_.within(milliseconds(10), milliseconds(800), [this] { fail_reads_now_and_then(); });
        }
    }

    // Nothing fails any more: all that was confirmed is delivered, and nothing is held when everybody has
    // gone.
    void calm_down() {
        calm_ = true;
        network_.set_faults({});
        disk_.reads_fail = 0;
        for (const auto& client : clients_) {
            client->calm_down();
            if (client->role() != Role::worker) client->hang_up();
        }
        scheduler_.run_until(scheduler_.now() + seconds(5));  // what they had sent has arrived, or is lost
        const auto done = [this] { return host_.queued() == 0 && ledger_.all_confirmed_are_done(); };
        EXPECT_TRUE(scheduler_.run_until(done, scheduler_.now() + seconds(120)))
            << host_.queued() << " messages are left";
        for (const auto& client : clients_) client->hang_up();
        scheduler_.run_until(scheduler_.now() + seconds(10));
        EXPECT_EQ(host_.broker().content_bytes(), 0u);
        constexpr std::uint64_t each_queue = 2'048;
        EXPECT_LE(host_.broker().memory_used(), host_.broker().queue_stats().size() * each_queue)
            << "memory that nobody holds any more is still counted";
    }

    Scheduler scheduler_;
    Network network_;
    broker::LossyDisk disk_;
    BrokerLedger ledger_;
    BrokerHost host_;
    std::vector<std::unique_ptr<BrokerClient>> clients_;
    bool calm_ = false;
};

TEST(Broker, keeps_what_it_confirmed_and_settles_what_was_acknowledged) {
    std::size_t confirmed = 0;
    for_seeds(60, [&](std::uint64_t seed) {
        BrokerRun run(seed);
        run.run();
        confirmed += run.confirmed();
    });
    EXPECT_GT(confirmed, 0u);
}

}  // namespace
}  // namespace havn::sim
