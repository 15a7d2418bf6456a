// A log of the version before: the whole broker reads it, and what it writes from then on is of today's
// version.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "broker/core/broker.h"
#include "broker/log/log_testing.h"
#include "broker/log/version_2_log_testing.h"

namespace havn::broker {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::string from_hex(std::string_view hex) {
    std::string bytes;
    for (std::size_t at = 0; at < hex.size(); at += 2) {
        bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16)));
    }
    return bytes;
}

struct FormerLog : testing::Test, LogOnLossyDisk, Waker {
    FormerLog() {
        auto inode = std::make_shared<LossyDisk::Inode>();
        inode->now = inode->durable = from_hex(version_2::segment);
        disk.names[version_2::segment_name] = disk.durable_names[version_2::segment_name] = inode;
    }
    void wake(Connection&) override {}

    // Another life of the log, with a broker on it.
    std::unique_ptr<Broker> start() {
        Log::Options options;
        options.segment_bytes = options.first_segment_bytes = segment_bytes;
        options.prepare_spares = options.threaded = false;
        options.written = [] {};
        options.salt = [this] { return next_salt++; };
        log = std::make_unique<Log>(disk.storage(), std::move(options));
        const Config config;
        const WallTime wall = WallTime(seconds(1'900'000'000));  // long after it was written
        auto broker = std::make_unique<Broker>(config, *log, *this, Time(seconds(3'600)), wall);
        EXPECT_TRUE(log->recover(broker->recovery()));
        EXPECT_TRUE(broker->apply(config));
        return broker;
    }
    static std::map<std::string, std::uint64_t> ready(const Broker& broker) {
        std::map<std::string, std::uint64_t> ready;
        for (const QueueStats& stats : broker.queue_stats()) {
            EXPECT_EQ(stats.vhost, "/");
            ready[stats.name] = stats.ready;
        }
        return ready;
    }
};

TEST_F(FormerLog, tells_messages_attempts_and_times) {
    ASSERT_TRUE(open());
    EXPECT_EQ(log->stats().spoilt_bytes, 0u);
    EXPECT_THAT(recovered.bodies(),
                ElementsAre("in two queues", "in two queues", "urgent", "expires", "tried twice"));
    for (const Recovered::Delivery& delivery : recovered.deliveries) {
        EXPECT_GT(delivery.history.published, 1'700'000'000'000) << delivery.body;
        EXPECT_EQ(delivery.history.attempts, delivery.body == "tried twice" ? 2u : 0u) << delivery.body;
    }
}

TEST_F(FormerLog, becomes_the_default_virtual_host) {
    const std::unique_ptr<Broker> broker = start();
    EXPECT_THAT(ready(*broker),
                ElementsAre(Pair("copies", 1), Pair("jobs", 1), Pair("jobs.failed", 0), Pair("letters", 3)));
}

TEST_F(FormerLog, is_written_anew_in_todays_form_and_read_again) {
    std::unique_ptr<Broker> broker = start();
    sync();
    broker.reset();
    log.reset();
    ASSERT_TRUE(open());
    for (const auto& [key, value] : recovered.topology) {
        EXPECT_TRUE(key == "i" || key.substr(1, 2) == std::string("\x01/")) << key;
    }
    EXPECT_EQ(recovered.topology.size(), 10u) << "two exchanges, four queues, three bindings, the next id";
    EXPECT_EQ(recovered.deliveries.size(), 5u);
    log.reset();
    broker = start();
    EXPECT_THAT(ready(*broker),
                ElementsAre(Pair("copies", 1), Pair("jobs", 1), Pair("jobs.failed", 0), Pair("letters", 3)));
}

}  // namespace
}  // namespace havn::broker
