// Jobs through the gateway's publisher into the broker: the real JobSender over the real AMQP client, a
// network that is bad, the real broker core over a journal that is durable late, and a worker that consumes.
//
// Whatever happens – short reads and writes, resets, a broker that is killed, blocked, deaf or without a disk
// – each customer is told once, by the deadline; what is answered "confirmed" is executed; what is answered
// "it was not accepted" never is; and nothing is left behind.
#include <gtest/gtest.h>

#include <deque>
#include <set>
#include <string>

#include "sim/publisher_broker.h"
#include "sim/publisher_peers.h"
#include "sim/seeds.h"

namespace havn::sim {
namespace {

using gateway::JobOutcome;

constexpr Duration confirm_timeout = seconds(5);

struct Customer final : gateway::JobSender::Waiter {
    explicit Customer(const BrokerProcess& the_broker) : broker(the_broker) {}

    void on_published(JobOutcome outcome) override {
        EXPECT_FALSE(told) << "job " << id << " was told twice";
        EXPECT_FALSE(gave_up) << "job " << id << " was told after it had been given up";
        if (outcome == JobOutcome::confirmed) {
            EXPECT_TRUE(broker.keeps(id)) << "job " << id << " was confirmed before it was durable";
        }
        told = outcome;
    }
    const BrokerProcess& broker;  // outlives its customers
    std::string id;
    Time asked{};
    bool gave_up = false;
    std::optional<JobOutcome> told;
};

class Shop {
  public:
    explicit Shop(std::uint64_t seed)
        : scheduler_(seed),
          network_(scheduler_, faults()),
          broker_(scheduler_, config()),
          publisher_(scheduler_, [this] { return dial(); }),
          worker_(scheduler_, [this] { return dial(); }, "orders") {
        broker_.start();
    }

    void run() {
        Random& random = scheduler_.random();
        const std::uint64_t jobs = random.between(1, 40);
        for (std::uint64_t i = 0; i < jobs; ++i) {
            scheduler_.within(Duration::zero(), seconds(12), [this, i] { buy(i); });
        }
        for (std::uint64_t troubles = random.below(4); troubles > 0; --troubles) {
            scheduler_.within(Duration::zero(), seconds(12), [this] { trouble(); });
        }
        scheduler_.run_until(scheduler_.now() + seconds(40));
        calm();
        check();
    }

  private:
    NetworkFaults faults() {
        NetworkFaults faults;
        if (scheduler_.random().once_in(2)) faults.reset_once_in = scheduler_.random().between(20, 2'000);
        return faults;
    }
    static broker::Config config() {
        broker::Config config;
        config.memory_bytes = 64u << 20;
        config.vhosts.front().queues.push_back({.name = "orders", .message_ttl = std::nullopt});
        return config;
    }
    End* dial() {
        if (!broker_.runs()) return nullptr;
        const auto [ours, theirs] = network_.connect();
        broker_.accept(*theirs);
        return ours;
    }

    void buy(std::uint64_t number) {
        Customer& customer = customers_.emplace_back(broker_);
        customer.id = "job-" + std::to_string(number);
        customer.asked = scheduler_.now();
        gateway::HeldBytes body(share_);
        ASSERT_TRUE(body.append(body_of(customer.id)));
        gateway::Job job(std::move(body));
        job.id = customer.id;
        job.queue = "orders";
        job.headers.emplace_back("method", "POST");
        publisher_.publish(std::move(job), customer);
        scheduler_.after(confirm_timeout, [this, &customer] { deadline(customer); });
    }
    void deadline(Customer& customer) {
        if (customer.told) return;
        const bool withdrawn = publisher_.give_up(customer, customer.asked);
        customer.gave_up = true;
        customer.told = withdrawn ? JobOutcome::withdrawn : JobOutcome::timed_out;
    }

    void trouble() {
        Random& random = scheduler_.random();
        const Duration length = milliseconds(random.between(1, 8'000));
        switch (random.below(5)) {
            case 0:
                broker_.crash();
                scheduler_.after(length, [this] { start_broker(); });
                break;
            case 1:
                broker_.set_alarm(true);
                scheduler_.after(length, [this] { broker_.set_alarm(false); });
                break;
            case 2:
                broker_.hold_disk(true);
                scheduler_.after(length, [this] { broker_.hold_disk(false); });
                break;
            case 3:
                broker_.hold_reads(true);
                scheduler_.after(length, [this] { broker_.hold_reads(false); });
                break;
            default:  // while the disk is slow
                broker_.hold_disk(true);
                scheduler_.after(length / 2, [this] { broker_.crash(); });
                scheduler_.after(length, [this] {
                    broker_.hold_disk(false);
                    start_broker();
                });
        }
    }
    void start_broker() {
        if (!broker_.runs()) broker_.start();
    }

    // The troubles are over: what is still owed gets done.
    void calm() {
        network_.set_faults({});
        broker_.set_alarm(false);
        broker_.hold_disk(false);
        broker_.hold_reads(false);
        start_broker();
        scheduler_.run_until(scheduler_.now() + seconds(90));
    }

    void check() {
        const std::map<std::string, std::uint64_t>& executed = worker_.executed();
        EXPECT_TRUE(worker_.intact());
        for (const Customer& customer : customers_) {
            ASSERT_TRUE(customer.told) << customer.id << " was never told";
            const bool was_executed = executed.contains(customer.id);
            switch (*customer.told) {
                case JobOutcome::confirmed:
                    EXPECT_TRUE(was_executed) << customer.id << " was confirmed and is lost";
                    break;
                case JobOutcome::timed_out:
                    break;  // nobody knows, and that is what was answered
                default:
                    EXPECT_FALSE(was_executed)
                        << customer.id << " was answered '" << static_cast<int>(*customer.told)
                        << "', not accepted, and was executed";
            }
        }
        EXPECT_FALSE(publisher_.sender().has_waiting());
        for (const broker::QueueStats& queue : broker_.core().queue_stats()) {
            EXPECT_EQ(queue.ready + queue.unacked, 0u) << queue.name;
        }
        publisher_.hang_up();
        worker_.hang_up();
        broker_.stop();
        EXPECT_EQ(network_.open_ends(), 0u);
        EXPECT_LE(budget_.used(), 2 * gateway::MemoryShare::step_bytes);
        EXPECT_EQ(broker::MessagePtr::bytes_in_memory(), 0u);
    }

    Scheduler scheduler_;
    Network network_;
    gateway::MemoryBudget budget_{64u << 20};
    gateway::MemoryShare share_{budget_};
    BrokerProcess broker_;
    std::deque<Customer> customers_;
    Publisher publisher_;
    Worker worker_;
};

TEST(Publisher, each_job_is_told_once_and_the_answer_is_true) {
    for_seeds(1'000, [](std::uint64_t seed) { Shop(seed).run(); });
}

}  // namespace
}  // namespace havn::sim
