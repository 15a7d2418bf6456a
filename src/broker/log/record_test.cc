#include "broker/log/record.h"

#include <gtest/gtest.h>

#include <string>

namespace havn::broker {
namespace {

constexpr Place place{0xABCD1234, 4096};

Record checked(const ByteBuffer& bytes) {
    Record record;
    EXPECT_EQ(check_record(bytes.view(), place, record), RecordCheck::ok);
    EXPECT_EQ(record.size, bytes.size());
    EXPECT_EQ(record.offset, place.offset);
    return record;
}

TEST(Record, a_message_comes_back_as_it_was) {
    const MessagePtr message =
        MessagePtr::make({"exchange", "routing.key", std::string_view("\x80\0p", 3), "body"});
    const QueueId queues[] = {QueueId{7}, QueueId{0xFFFFFFFF}};
    ByteBuffer bytes;
    add_message(bytes, place, 41, queues, message->parts(), 1'700'000'000'123);
    EXPECT_EQ(bytes.size(), message_bytes(message->parts(), 2));
    EXPECT_EQ(bytes.size() % 8, 0u);
    const std::optional<MessageRecord> read = parse_message(checked(bytes));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->published, 1'700'000'000'123);
    EXPECT_FALSE(read->moved);
    EXPECT_EQ(read->first_ordinal, 41u);
    ASSERT_EQ(read->queue_count, 2u);
    EXPECT_EQ(read->queue(0), QueueId{7});
    EXPECT_EQ(read->queue(1), QueueId{0xFFFFFFFF});
    EXPECT_EQ(read->parts.exchange, "exchange");
    EXPECT_EQ(read->parts.routing_key, "routing.key");
    EXPECT_EQ(read->parts.properties, std::string_view("\x80\0p", 3));
    EXPECT_EQ(read->parts.body, "body");
}

TEST(Record, a_moved_message_comes_back_with_where_it_came_from) {
    const MessagePtr message = MessagePtr::make({"exchange", "routing.key", "properties", "body"});
    const MovedDelivery deliveries[] = {{QueueId{7}, 11, 2}, {QueueId{9}, 13, 0}};
    ByteBuffer bytes;
    add_moved(bytes, place, 41, {5, {3, 77}, -1}, deliveries, message->parts());
    EXPECT_EQ(bytes.size(), moved_bytes(message->parts(), 2));
    const std::optional<MessageRecord> read = parse_message(checked(bytes));
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->moved);
    EXPECT_EQ(read->first_ordinal, 41u);
    EXPECT_EQ(read->published, -1);
    EXPECT_EQ(read->origin.segment, 5u);
    EXPECT_EQ(read->origin.order, (DeliveryId{3, 77}));
    ASSERT_EQ(read->queue_count, 2u);
    EXPECT_EQ(read->queue(1), QueueId{9});
    EXPECT_EQ(read->moved_delivery(0).ordinal, 11u);
    EXPECT_EQ(read->moved_delivery(0).attempts, 2u);
    EXPECT_EQ(read->moved_delivery(1).ordinal, 13u);
    EXPECT_EQ(read->parts.routing_key, "routing.key");
    EXPECT_EQ(read->parts.body, "body");
}

TEST(Record, every_other_type_comes_back_as_it_was) {
    ByteBuffer attempts;
    const AttemptsOf failed[] = {{{1, 2}, 3}, {{4, 5}, 6}};
    add_attempts(attempts, place, failed);
    ASSERT_EQ(parse_attempts(checked(attempts).payload), 2u);
    EXPECT_EQ(attempts_of(checked(attempts).payload, 1).delivery, (DeliveryId{4, 5}));
    EXPECT_EQ(attempts_of(checked(attempts).payload, 1).attempts, 6u);
    ByteBuffer put, erase, settle, set, mark;
    add_put(put, place, "queue/a", "value");
    EXPECT_EQ(parse_put(checked(put).payload)->key, "queue/a");
    EXPECT_EQ(parse_put(checked(put).payload)->value, "value");
    add_erase(erase, place, "queue/a");
    EXPECT_EQ(checked(erase).payload, "queue/a");
    const havn::broker::Run runs[] = {{1, 2, 3}, {4, 5, 6}};
    add_settle(settle, place, runs);
    ASSERT_EQ(parse_settle(checked(settle).payload), 2u);
    EXPECT_EQ(settle_run(checked(settle).payload, 1).segment, 4u);
    EXPECT_EQ(settle_run(checked(settle).payload, 1).first, 5u);
    EXPECT_EQ(settle_run(checked(settle).payload, 1).count, 6u);
    const std::uint64_t bitmap[] = {1, 1ull << 63};
    add_settled_set(set, place, 9, bitmap);
    ASSERT_EQ(parse_settled_set(checked(set).payload)->words, 2u);
    EXPECT_EQ(parse_settled_set(checked(set).payload)->word(1), 1ull << 63);
    add_mark(mark, place, 3, 777);
    EXPECT_EQ(parse_mark(checked(mark).payload)->synced, 777u);
}

TEST(Record, any_flipped_bit_is_noticed) {
    ByteBuffer bytes;
    add_put(bytes, place, "key", "value");
    const std::size_t covered = record_header_bytes + 4 + 3 + 5;  // what follows is padding
    for (std::size_t bit = 0; bit < covered * 8; ++bit) {
        std::string spoilt(bytes.view());
        spoilt[bit / 8] = static_cast<char>(spoilt[bit / 8] ^ (1 << bit % 8));
        Record record;
        const RecordCheck check = check_record(spoilt, place, record);
        EXPECT_EQ(check, bit / 8 < record_header_bytes ? RecordCheck::bad_header : RecordCheck::bad_payload)
            << bit;
        if (check == RecordCheck::bad_payload) EXPECT_EQ(record.size, bytes.size());
    }
}

TEST(Record, at_another_place_or_in_another_file_it_is_worth_nothing) {
    ByteBuffer bytes;
    add_put(bytes, place, "key", "value");
    Record record;
    EXPECT_EQ(check_record(bytes.view(), {place.salt, place.offset + 8}, record), RecordCheck::bad_header);
    EXPECT_EQ(check_record(bytes.view(), {place.salt + 1, place.offset}, record), RecordCheck::bad_header);
}

TEST(Record, one_cut_short_says_how_long_it_would_be) {
    ByteBuffer bytes;
    add_put(bytes, place, "key", std::string(100, 'v'));
    Record record;
    EXPECT_EQ(check_record(bytes.view().substr(0, 40), place, record), RecordCheck::bad_payload);
    EXPECT_EQ(record.size, bytes.size());
    EXPECT_EQ(check_record(bytes.view().substr(0, 15), place, record), RecordCheck::bad_header);
}

TEST(Record, the_file_header_names_segment_and_salt) {
    ByteBuffer bytes;
    add_file_header(bytes, 12, 0xBEEF);
    EXPECT_EQ(bytes.size(), file_header_bytes);
    EXPECT_EQ(check_file_header(bytes.view(), 12, 0xBEEF), log_version);
    EXPECT_FALSE(check_file_header(bytes.view(), 13, 0xBEEF));
    EXPECT_FALSE(check_file_header(bytes.view(), 12, 0xBEEE));
}

}  // namespace
}  // namespace havn::broker
