#include "broker/log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "base/crc32c.h"
#include "broker/log/log_fixture_testing.h"

namespace havn::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

TEST_F(LogTest, an_empty_folder_is_an_empty_log) {
    EXPECT_TRUE(recovered.topology_complete);
    EXPECT_THAT(recovered.topology, IsEmpty());
    EXPECT_THAT(recovered.deliveries, IsEmpty());
    EXPECT_EQ(log->durable(), log->position());
}

TEST_F(LogTest, messages_come_back_in_order_with_everything_they_had) {
    const QueueId both[] = {QueueId{3}, QueueId{9}};
    const Journal::Placement placed =
        log->append(*MessagePtr::make({"ex", "key", "props", "one"}), both, published);
    publish("two", 3);
    sync();
    reopen();
    ASSERT_THAT(recovered.bodies(), ElementsAre("one", "one", "two"));
    EXPECT_EQ(recovered.deliveries[0].queue, 3u);
    EXPECT_EQ(recovered.deliveries[1].queue, 9u);
    EXPECT_EQ(recovered.deliveries[0].id, placed.first);
    EXPECT_EQ(recovered.deliveries[1].id.ordinal, placed.first.ordinal + 1);
    EXPECT_EQ(recovered.deliveries[0].offset, placed.offset);
    EXPECT_EQ(recovered.deliveries[0].exchange, "ex");
    EXPECT_EQ(recovered.deliveries[0].routing_key, "key");
    EXPECT_EQ(recovered.deliveries[0].properties, "props");
}

TEST_F(LogTest, what_is_settled_does_not_come_back) {
    const DeliveryId one = publish("one");
    publish("two");
    const DeliveryId three = publish("three");
    settle(three);
    settle(one);
    settle(one);  // twice is once
    sync();
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("two"));
}

TEST_F(LogTest, topology_is_the_last_value_of_every_key) {
    log->put("queue/a", "1");
    log->put("queue/b", "1");
    log->put("queue/a", "2");
    log->erase("queue/b");
    sync();
    reopen();
    EXPECT_THAT(recovered.topology, ElementsAre(Pair("queue/a", "2")));
}

TEST_F(LogTest, nothing_is_durable_before_the_sync) {
    const LogPosition before = log->durable();
    publish("one");
    log->flush(log->position());
    EXPECT_TRUE(log->submitted());
    EXPECT_EQ(log->durable(), before);
    log->write_submitted();
    EXPECT_EQ(log->durable(), log->position());
}

TEST_F(LogTest, what_nobody_waits_for_is_written_but_synced_only_by_flush_all) {
    publish("one");
    const std::uint64_t syncs = log->stats().syncs;
    log->flush(0);
    log->write_submitted();
    EXPECT_EQ(log->stats().syncs, syncs);
    EXPECT_LT(log->durable(), log->position());
    log->flush_all();
    log->write_submitted();
    EXPECT_EQ(log->durable(), log->position());
}

TEST_F(LogTest, the_next_batch_grows_while_one_is_written_and_shares_one_sync) {
    publish("one");
    log->flush(log->position());
    publish("two");
    log->flush(log->position());
    publish("three");
    log->flush(log->position());
    const std::uint64_t syncs = log->stats().syncs;
    log->write_submitted();  // one
    log->write_submitted();  // two and three
    EXPECT_EQ(log->stats().syncs, syncs + 2);
    EXPECT_EQ(log->durable(), log->position());
}

TEST_F(LogTest, an_idle_log_stops_writing) {
    publish("one");
    for (int ticks = 0; ticks < 5; ++ticks) {
        log->flush_all();
        log->write_submitted();
    }
    const LogPosition settled = log->position();
    log->flush_all();
    EXPECT_FALSE(log->submitted());
    EXPECT_EQ(log->position(), settled);
}

TEST_F(LogTest, the_topology_outlives_the_segment_it_was_written_to) {
    log->put("queue/a", "1");
    std::vector<DeliveryId> ids;
    const std::uint32_t first = fill_segment(ids);
    for (const DeliveryId id : ids) settle(id);
    sync();
    EXPECT_FALSE(has_segment(first));
    reopen();
    EXPECT_THAT(recovered.topology, ElementsAre(Pair("queue/a", "1")));
}

TEST_F(LogTest, a_segment_goes_once_all_its_deliveries_are_settled) {
    std::vector<DeliveryId> ids;
    for (int i = 0; i < 5; ++i) fill_segment(ids);
    sync();
    EXPECT_EQ(segments(), 6u);
    for (const DeliveryId id : ids) settle(id);
    sync();
    EXPECT_EQ(segments(), 1u);
    reopen();
    EXPECT_THAT(recovered.deliveries, IsEmpty());
}

TEST_F(LogTest, a_segment_in_the_middle_goes_and_the_settles_it_held_stay) {
    std::vector<DeliveryId> first, second;
    const std::uint32_t one = fill_segment(first);
    const DeliveryId kept = first.front();
    for (const DeliveryId id :
         first) {  // settled, but for one; the records of that stand in the next segment
        if (id != kept && id.segment == one) settle(id);
    }
    sync();
    const std::uint32_t two = fill_segment(second);
    for (const DeliveryId id : first) settle(id == kept ? DeliveryId{} : id);
    for (const DeliveryId id : second) settle(id);
    sync();
    EXPECT_TRUE(has_segment(one));
    EXPECT_FALSE(has_segment(two));
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("message 0"));
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("message 0"));
}

TEST_F(LogTest, a_delivery_for_an_unknown_queue_is_settled_for_good) {
    publish("known", 1);
    publish("unknown", 2);
    sync();
    recovered.unknown_queues = {2};
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("known"));
    recovered.unknown_queues = {};
    sync();
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("known"));
}

TEST_F(LogTest, a_message_larger_than_a_segment_is_kept) {
    publish("small");
    publish(std::string(3 * segment_bytes, 'b'));
    publish("after");
    sync();
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("small", std::string(3 * segment_bytes, 'b'), "after"));
}

TEST_F(LogTest, a_torn_tail_is_cut_at_any_byte) {
    publish("one");
    sync();
    const std::size_t end = bytes_of(1).find(std::string(64, '\0'), file_header_bytes + 64);
    publish(std::string(200, '2'));
    log->flush(log->position());
    log->write_submitted();
    const LossyDisk whole = disk;
    for (std::size_t cut = end; cut < end + 230; ++cut) {
        for (auto& [name, inode] : whole.names) disk.names[name] = std::make_shared<LossyDisk::Inode>(*inode);
        std::erase_if(disk.names, [&](const auto& entry) { return !whole.names.contains(entry.first); });
        bytes_of(1).resize(cut);
        reopen();
        ASSERT_THAT(recovered.bodies(), ElementsAre("one")) << cut;
        reopen();
        ASSERT_THAT(recovered.bodies(), ElementsAre("one")) << cut;
        ASSERT_EQ(log->stats().spoilt_bytes, 0u);
    }
}

TEST_F(LogTest, a_spoilt_message_in_the_middle_is_never_served_and_costs_only_itself) {
    std::vector<DeliveryId> ids;
    const std::uint32_t segment = fill_segment(ids);
    sync();
    bytes_of(segment)[find_text(segment, "message 3")] ^= 1;
    reopen();
    EXPECT_EQ(recovered.deliveries.size(), ids.size() - 1);
    EXPECT_THAT(recovered.bodies(), testing::Not(testing::Contains("message 3")));
    EXPECT_THAT(recovered.bodies(), testing::Contains("message 4"));
    EXPECT_GT(log->stats().spoilt_bytes, 0u);
}

TEST_F(LogTest, a_spoilt_length_does_not_lose_what_follows) {
    std::vector<DeliveryId> ids;
    const std::uint32_t segment = fill_segment(ids);
    sync();
    const std::size_t header = find_text(segment, "message 3") - 8 - 4 - 28 - record_header_bytes;
    bytes_of(segment)[header + 1] ^= 0x7F;
    reopen();
    EXPECT_EQ(recovered.deliveries.size(), ids.size() - 1);
    EXPECT_THAT(recovered.bodies(), testing::Contains("message 4"));
}

TEST_F(LogTest, a_spoilt_record_that_had_been_synced_does_not_cut_the_last_segment) {
    publish("one");
    publish("two");
    sync();
    publish("three");
    log->close();
    bytes_of(1)[find_text(1, "one")] ^= 1;
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("two", "three"));
    EXPECT_GT(log->stats().spoilt_bytes, 0u);
}

TEST_F(LogTest, a_spoilt_file_header_loses_nothing) {
    std::vector<DeliveryId> ids;
    const std::uint32_t segment = fill_segment(ids);
    sync();
    bytes_of(segment)[3] ^= 1;
    reopen();
    EXPECT_EQ(recovered.deliveries.size(), ids.size());
}

TEST_F(LogTest, a_message_is_read_back_from_memory_and_from_disk) {
    const QueueId queue[] = {QueueId{1}};
    const std::string large(9000, 'l');
    const Journal::Placement small =
        log->append(*MessagePtr::make({"e", "k", "p", "small"}), queue, published);
    const Journal::Placement big = log->append(*MessagePtr::make({"e", "k", "p", large}), queue, published);
    for (const char* where : {"growing batch", "batch being written", "disk"}) {
        ASSERT_TRUE(log->read(small.first, small.offset)) << where;
        EXPECT_EQ(log->read(small.first, small.offset).value()->body(), "small") << where;
        EXPECT_EQ(log->read(big.first, big.offset).value()->body(), large) << where;
        log->submitted() ? log->write_submitted() : log->flush(log->position());
    }
}

TEST_F(LogTest, a_record_spoilt_since_is_not_read) {
    const QueueId queue[] = {QueueId{1}};
    const Journal::Placement placed =
        log->append(*MessagePtr::make({"e", "k", "p", "spoil me"}), queue, published);
    sync();
    bytes_of(1)[find_text(1, "spoil me")] ^= 1;
    const Result<MessagePtr> read = log->read(placed.first, placed.offset);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind, Error::Kind::corrupt);
}

TEST_F(LogTest, a_segment_that_cannot_be_opened_for_a_moment_says_nothing_about_its_messages) {
    const QueueId queue[] = {QueueId{1}};
    const Journal::Placement placed =
        log->append(*MessagePtr::make({"e", "k", "p", "kept"}), queue, published);
    sync();
    for (int* failures : {&disk.opens_fail, &disk.reads_fail}) {
        reopen();
        *failures = 1;
        const Result<MessagePtr> read = log->read(placed.first, placed.offset);
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().kind, Error::Kind::unavailable);
        EXPECT_EQ(log->stats().read_failure, "injected: Too many open files");
        EXPECT_EQ(log->stats().read_failures, 1u);
        EXPECT_EQ(log->read(placed.first, placed.offset).value()->body(), "kept");
        EXPECT_EQ(log->stats().read_failure, "");
    }
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("kept"));
}

TEST_F(LogTest, a_failed_sync_confirms_nothing_and_is_not_tried_again) {
    const LogPosition before = log->durable();
    publish("one");
    disk.syncs_fail = true;
    log->flush(log->position());
    log->write_submitted();
    ASSERT_TRUE(log->failure());
    disk.syncs_fail = false;
    log->flush(log->position());
    EXPECT_FALSE(log->submitted());
    EXPECT_EQ(log->durable(), before);
}

TEST_F(LogTest, a_full_disk_holds_back_and_goes_on_when_there_is_space) {
    std::vector<DeliveryId> ids;
    fill_segment(ids);
    disk.full = true;
    log->flush(log->position());
    log->write_submitted();
    EXPECT_TRUE(log->held_back());
    EXPECT_FALSE(log->failure());
    EXPECT_LT(log->durable(), log->position());
    disk.full = false;
    log->write_submitted();
    EXPECT_FALSE(log->held_back());
    EXPECT_EQ(log->durable(), log->position());
    reopen();
    EXPECT_EQ(recovered.deliveries.size(), ids.size());
}

TEST_F(LogTest, a_broker_starts_on_a_full_disk_whose_last_segment_has_no_room_for_a_seal) {
    for (const std::size_t room : {0, 8, 16, 24}) {
        log->prepare_files();  // the reserve
        const DeliveryId id = publish("before " + std::to_string(room));
        sync();
        std::string& last = bytes_of(id.segment);
        last.resize(last.find_last_not_of('\0') / 8 * 8 + 8 + room);
        disk.full = true;
        reopen();
        const std::vector<std::string> bodies = recovered.bodies();
        disk.full = false;
        reopen();
        EXPECT_EQ(recovered.bodies(), bodies) << room;
    }
    EXPECT_EQ(recovered.deliveries.size(), 4u);
}

TEST_F(LogTest, a_broker_starts_on_a_full_disk_and_is_drained) {
    log->prepare_files();  // the reserve
    std::vector<DeliveryId> ids;
    for (int i = 0; i < 3; ++i) fill_segment(ids);
    sync();
    bytes_of(4).resize(bytes_of(4).find(std::string(64, '\0'), 200));  // no room left in the last one, either
    disk.full = true;
    reopen();
    EXPECT_TRUE(log->held_back()) << "publishers wait";
    ASSERT_TRUE(log->stats().shortage);
    EXPECT_EQ(log->stats().shortage->cause, "full");
    EXPECT_EQ(log->stats().disk_free_bytes, 0u);
    ASSERT_EQ(recovered.deliveries.size(), ids.size());
    for (const Recovered::Delivery& delivery : recovered.deliveries) settle(delivery.id);
    sync();
    EXPECT_FALSE(log->held_back());
    EXPECT_FALSE(log->stats().shortage);
    EXPECT_EQ(segments(), 1u);
    disk.full = false;
    log->prepare_files();
    publish("again");
    sync();
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("again"));
}

TEST_F(LogTest, what_was_cut_does_not_come_back_even_if_the_seal_is_lost) {
    publish("one");
    sync();
    const std::size_t end = bytes_of(1).find(std::string(64, '\0'), file_header_bytes + 64);
    publish(std::string(200, '2'));
    publish("three");
    log->flush(log->position());
    log->write_submitted();
    log.reset();
    bytes_of(1)[end + 100] ^= 1;  // torn: "three" is whole, and must not count
    reopen();
    ASSERT_THAT(recovered.bodies(), ElementsAre("one"));
    log.reset();
    const std::size_t seal = find_text(1, "one") + 3;
    for (std::size_t at = (seal + 7) & ~std::size_t{7}; at < bytes_of(1).size(); ++at) {
        bytes_of(1)[at] ^= 0x55;
    }
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("one"));
    EXPECT_LE(bytes_of(1).size(), seal + 64) << "and takes no space";
}

TEST_F(LogTest, a_removed_segments_file_is_used_again_and_its_old_records_stay_dead) {
    std::vector<DeliveryId> ids;
    for (int round = 0; round < 6; ++round) {
        fill_segment(ids);
        for (const DeliveryId id : ids) settle(id);
        ids.clear();
        sync();
    }
    publish("last");
    sync();
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("last"));
    EXPECT_EQ(log->stats().spoilt_bytes, 0u);
}

TEST_F(LogTest, publish_time_and_failed_attempts_come_back) {
    const DeliveryId one = publish("one");
    publish("two");
    log->note_attempts(one, 1);
    log->note_attempts(one, 2);
    sync();
    reopen();
    ASSERT_THAT(recovered.bodies(), ElementsAre("one", "two"));
    EXPECT_EQ(recovered.deliveries[0].history.published, published);
    EXPECT_EQ(recovered.deliveries[0].history.attempts, 2u);
    EXPECT_EQ(recovered.deliveries[1].history.attempts, 0u);
    log->note_attempts(recovered.deliveries[1].id, 7);
    sync();
    reopen();
    EXPECT_EQ(recovered.deliveries[0].history.attempts, 2u);
    EXPECT_EQ(recovered.deliveries[1].history.attempts, 7u);
}

TEST_F(LogTest, attempts_outlive_the_segment_they_were_written_to) {
    std::vector<DeliveryId> first, second;
    const std::uint32_t one = fill_segment(first);
    log->note_attempts(first.front(), 3);  // stands in the second segment
    sync();
    const std::uint32_t two = fill_segment(second);
    for (const DeliveryId id : first) {
        if (id.segment != one) settle(id);
    }
    for (const DeliveryId id : second) settle(id);
    sync();
    ASSERT_TRUE(has_segment(one));
    ASSERT_FALSE(has_segment(two));
    reopen();
    EXPECT_EQ(recovered.deliveries.front().history.attempts, 3u);
}

TEST_F(LogTest, a_log_of_a_later_version_is_left_alone) {
    publish("one");
    sync();
    log.reset();
    std::string& header = bytes_of(1);
    header[8] = static_cast<char>(log_version + 1);
    const std::uint32_t checksum = crc32c(std::string_view(header).substr(0, 28));
    std::memcpy(header.data() + 28, &checksum, 4);
    const std::string before = header;
    const Result<> opened = open();
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message, testing::HasSubstr("version " + std::to_string(log_version + 1)));
    EXPECT_EQ(bytes_of(1), before);
}

TEST_F(LogTest, a_segment_that_cannot_be_opened_at_start_is_not_taken_for_an_empty_one) {
    publish("one");
    sync();
    log.reset();
    for (int* failures : {&disk.opens_fail, &disk.reads_fail}) {
        *failures = 1000;
        EXPECT_FALSE(open());
        log.reset();
        *failures = 0;
    }
    ASSERT_TRUE(open());
    EXPECT_THAT(recovered.bodies(), ElementsAre("one"));
}

// The real file system and the writer's thread.
struct LogOnDisk : testing::Test {
    std::string folder = [] {
        std::string name = "/tmp/havn-log-XXXXXX";
        return std::string(::mkdtemp(name.data()));
    }();
    std::mutex mutex;
    std::condition_variable changed;
    bool written = false;
    Recovered recovered;

    std::unique_ptr<Log> open() {
        Log::Options options;
        options.segment_bytes = 1u << 20;
        options.written = [this] {
            const std::lock_guard lock(mutex);
            written = true;
            changed.notify_all();
        };
        recovered.deliveries.clear();
        auto log = std::make_unique<Log>(open_storage(folder + "/queue").value(), std::move(options));
        const Result<> opened = log->recover(recovered);
        EXPECT_TRUE(opened) << opened.error().text();
        return log;
    }
    void wait_until_durable(Log& log) {
        const LogPosition wanted = log.position();
        log.flush(wanted);
        while (log.durable() < wanted) {
            std::unique_lock lock(mutex);
            changed.wait(lock, [this] { return written; });
            written = false;
            lock.unlock();
            log.completed();
            ASSERT_FALSE(log.failure());
        }
    }
    ~LogOnDisk() override { std::filesystem::remove_all(folder); }
};

TEST_F(LogOnDisk, many_segments_written_by_the_thread_come_back_in_order) {
    constexpr int count = 20'000;
    const std::string padding(300, 'p');
    {
        const std::unique_ptr<Log> log = open();
        for (int i = 0; i < count; ++i) {
            const QueueId queues[] = {QueueId{1}};
            const auto placed =
                log->append(*MessagePtr::make({"", "k", "", std::to_string(i) + padding}), queues, 1);
            if (i % 2 == 1) log->settle(placed.first, 300);
            if (i % 500 == 0) wait_until_durable(*log);
        }
        log->close();
        EXPECT_EQ(log->durable(), log->position());
    }
    const std::unique_ptr<Log> log = open();
    ASSERT_EQ(recovered.deliveries.size(), std::size_t{count / 2});
    for (int i = 0; i < count / 2; ++i) {
        ASSERT_EQ(recovered.deliveries[static_cast<std::size_t>(i)].body, std::to_string(2 * i) + padding);
    }
    EXPECT_EQ(log->stats().spoilt_bytes, 0u);
}

}  // namespace
}  // namespace havn::broker
