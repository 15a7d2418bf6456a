// Segments of which little is needed are rewritten; and logs of version 1 are read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/log/log_fixture_testing.h"
#include "broker/log/version_1_log_testing.h"

namespace havn::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

struct Rewriting : LogTest {
    Rewriting() : LogTest(2) {}
    // A log of `count` segments of which only the first message of each is still owed.
    std::vector<DeliveryId> kept;
    std::vector<Journal::Placement> places;
    std::vector<std::string> kept_bodies;
    void leave_one_in_each(int count) {
        for (int i = 0; i < count; ++i) {
            std::vector<DeliveryId> ids;
            const std::string body = "kept " + std::to_string(i);
            places.push_back(place(body));
            kept.push_back(places.back().first);
            kept_bodies.push_back(body);
            fill_segment(ids);
            for (const DeliveryId id : ids) settle(id);
        }
    }
    void let_time_pass() {
        for (int ticks = 0; ticks < 4; ++ticks) sync();
    }
};

TEST_F(Rewriting, a_few_old_messages_do_not_hold_their_segments) {
    leave_one_in_each(17);
    sync();
    EXPECT_GE(segments(), 17u);
    let_time_pass();
    EXPECT_LE(segments(), 3u);
    for (std::size_t i = 0; i < kept.size(); ++i) {
        const Result<MessagePtr> read = log->read(places[i].first, places[i].offset);
        ASSERT_TRUE(read) << "by the id it was given";
        EXPECT_EQ((*read)->body(), kept_bodies[i]);
    }
    reopen();
    EXPECT_EQ(recovered.bodies(), kept_bodies);
    EXPECT_EQ(recovered.deliveries[3].history.published, published);
}

TEST_F(Rewriting, what_was_moved_is_settled_by_the_id_it_was_given) {
    leave_one_in_each(6);
    let_time_pass();
    for (std::size_t i = 0; i < kept.size(); i += 2) settle(kept[i], kept_bodies[i].size());
    settle(kept[0]);  // twice is once
    leave_one_in_each(6);
    let_time_pass();  // and some of them a second time
    for (std::size_t i = 1; i < 6; i += 2) settle(kept[i], kept_bodies[i].size());
    sync();
    reopen();
    EXPECT_EQ(recovered.bodies(), std::vector<std::string>(kept_bodies.begin() + 6, kept_bodies.end()));
    for (const Recovered::Delivery& delivery : recovered.deliveries) settle(delivery.id);
    sync();
    reopen();
    EXPECT_THAT(recovered.deliveries, IsEmpty());
    EXPECT_LE(segments(), 2u);
}

TEST_F(Rewriting, moved_messages_keep_their_place_in_the_order) {
    leave_one_in_each(8);
    let_time_pass();
    kept_bodies.push_back("the newest");
    publish("the newest");
    sync();
    for (int restarts = 0; restarts < 3; ++restarts) {
        reopen();
        ASSERT_EQ(recovered.bodies(), kept_bodies);
        let_time_pass();
    }
}

TEST_F(Rewriting, a_message_in_several_queues_moves_with_those_that_still_want_it) {
    const QueueId queues[] = {QueueId{1}, QueueId{2}, QueueId{3}};
    const Journal::Placement placed =
        log->append(*MessagePtr::make({"ex", "key", "props", "shared"}), queues, published);
    const DeliveryId second{placed.first.segment, placed.first.ordinal + 1};
    const DeliveryId third{placed.first.segment, placed.first.ordinal + 2};
    log->note_attempts(third, 4);
    settle(second);
    leave_one_in_each(1);
    settle(kept.front());
    let_time_pass();
    EXPECT_FALSE(has_segment(placed.first.segment));
    log->note_attempts(placed.first, 1);
    sync();
    reopen();
    ASSERT_THAT(recovered.bodies(), ElementsAre("shared", "shared"));
    EXPECT_EQ(recovered.deliveries[0].queue, 1u);
    EXPECT_EQ(recovered.deliveries[0].history.attempts, 1u);
    EXPECT_EQ(recovered.deliveries[1].queue, 3u);
    EXPECT_EQ(recovered.deliveries[1].history.attempts, 4u);
    EXPECT_EQ(recovered.deliveries[1].exchange, "ex");
}

TEST_F(Rewriting, makes_room_on_a_full_disk_and_loses_nothing) {
    log->prepare_files();  // the reserve
    leave_one_in_each(6);
    sync();
    disk.full = true;
    std::vector<DeliveryId> ids;
    while (!log->held_back() && ids.size() < 1'000) {
        publish_into(ids);
        log->flush(log->position());
        while (log->submitted() && !log->held_back()) log->write_submitted();
    }
    ASSERT_TRUE(log->held_back());
    for (const DeliveryId id : ids) settle(id);  // consumers go on
    const std::uint64_t moved = log->stats().moved;
    let_time_pass();
    EXPECT_GT(log->stats().moved, moved);
    EXPECT_FALSE(log->held_back()) << "the files of what was rewritten are room enough";
    publish("taken again");
    sync();
    kept_bodies.push_back("taken again");
    reopen();
    EXPECT_EQ(recovered.bodies(), kept_bodies);
}

TEST_F(Rewriting, stops_at_what_cannot_be_read_and_keeps_the_segment) {
    leave_one_in_each(4);
    sync();
    const std::uint32_t segment = kept[2].segment;
    bytes_of(segment)[find_text(segment, "kept 2") + 1] ^= 1;
    let_time_pass();
    EXPECT_TRUE(has_segment(segment));
    EXPECT_LE(segments(), 3u);
    reopen();
    EXPECT_THAT(recovered.bodies(), ElementsAre("kept 0", "kept 1", "kept 3"));
}

TEST_F(Rewriting, leaves_alone_what_is_mostly_needed) {
    std::vector<DeliveryId> ids;
    for (int i = 0; i < 4; ++i) fill_segment(ids);
    for (std::size_t i = 0; i < ids.size(); i += 3) settle(ids[i]);
    let_time_pass();
    EXPECT_EQ(log->stats().moved, 0u);
    EXPECT_EQ(segments(), 5u);
}

std::string from_hex(const char* hex) {
    std::string bytes;
    for (; hex[0] != 0; hex += 2) {
        bytes.push_back(static_cast<char>(std::stoi(std::string(hex, 2), nullptr, 16)));
    }
    return bytes;
}

struct VersionOne : testing::Test, LogOnLossyDisk {
    void add(const char* name, std::string bytes) {
        auto inode = std::make_shared<LossyDisk::Inode>();
        inode->now = inode->durable = std::move(bytes);
        disk.names[name] = disk.durable_names[name] = inode;
    }
};

TEST_F(VersionOne, is_read_and_rewritten_like_any_other) {
    add("0000000001-9f3c2a71.log", from_hex(version_1::segment_1));
    add("0000000002-1badcafe.log", from_hex(version_1::segment_2));
    ASSERT_TRUE(open());
    EXPECT_THAT(recovered.topology, ElementsAre(Pair("qmore", "")));
    EXPECT_THAT(recovered.bodies(), ElementsAre("one", "three", "four"));
    EXPECT_EQ(recovered.deliveries[0].queue, 3u);
    EXPECT_EQ(recovered.deliveries[0].exchange, "ex");
    EXPECT_EQ(recovered.deliveries[0].history.published, 0) << "not known";
    EXPECT_EQ(log->stats().spoilt_bytes, 0u);
    log->note_attempts(recovered.deliveries[1].id, 2);
    settle(recovered.deliveries[0].id, 3);
    settle(recovered.deliveries[2].id, 4);
    for (int ticks = 0; ticks < 4; ++ticks) sync();
    EXPECT_FALSE(has_segment(1));
    EXPECT_FALSE(has_segment(2));
    reopen();
    EXPECT_THAT(recovered.topology, ElementsAre(Pair("qmore", "")));
    EXPECT_THAT(recovered.bodies(), ElementsAre("three"));
    EXPECT_EQ(recovered.deliveries[0].history.attempts, 2u);
}

}  // namespace
}  // namespace havn::broker
