#include "gateway/core/job_sender.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "wire/amqp/properties.h"
#include "wire/amqp/table.h"

namespace havn::gateway {
namespace {

using Sent = JobSender::Sent;
using enum JobOutcome;

struct Customer final : JobSender::Waiter {
    void on_published(JobOutcome outcome) override {
        told.push_back(outcome);
        if (then) std::exchange(then, nullptr)();
    }
    std::vector<JobOutcome> told;
    std::function<void()> then;
};

struct Published {
    std::string queue, id, body;
};

// The broker at the other end: reads what is sent, says what the test wants it to.
struct JobSenderTest : testing::Test {
    MemoryBudget budget{64u << 20};
    MemoryShare share{budget};
    JobSender sender;
    std::deque<Customer> customers;
    std::string wire;  // sent by the sender, not parsed yet
    std::vector<Published> published;
    Published open_;
    std::uint64_t body_left_ = 0;
    std::size_t largest_output = 0;
    int heartbeats = 0;
    Time now{std::chrono::hours(1)};

    Customer& publish(std::string body, std::string id = "") {
        Customer& customer = customers.emplace_back();
        publish_for(customer, std::move(body), std::move(id));
        return customer;
    }
    void publish_for(Customer& customer, std::string body, std::string id = "") {
        HeldBytes held(share);
        ASSERT_TRUE(held.append(body));
        Job job(std::move(held));
        job.id = id.empty() ? "job-" + std::to_string(customers.size()) : id;
        job.queue = "orders";
        sender.publish(std::move(job), customer);
    }
    template <class Method>
    Result<> say(const Method& method, std::uint16_t channel = 1) {
        std::string bytes;
        amqp::append_method(bytes, channel, method);
        return sender.receive(bytes, now);
    }
    void connect(std::uint32_t frame_max = 131072) {
        sender.opened({"guest", "guest", "/"}, now);
        amqp::ConnectionStart start;
        start.mechanisms = "PLAIN";
        start.locales = "en_US";
        ASSERT_TRUE(say(start, 0));
        ASSERT_TRUE(say(amqp::ConnectionTune{2047, frame_max, 60}, 0));
        ASSERT_TRUE(say(amqp::ConnectionOpenOk{}, 0));
        ASSERT_TRUE(say(amqp::ChannelOpenOk{}));
        ASSERT_TRUE(say(amqp::ConfirmSelectOk{}));
        wire.clear();
        send_all();
        skip_handshake();
    }
    // The broker says that it is there, and the time has come to say so too.
    void pass_to_heartbeat() {
        std::string heartbeat;
        amqp::append_frame(heartbeat, amqp::FrameType::heartbeat, 0, {});
        ASSERT_TRUE(sender.receive(heartbeat, now));
        now = sender.due();
        ASSERT_TRUE(sender.on_time(now));
    }
    void skip_handshake() { wire.erase(0, amqp::protocol_header.size()); }

    // Takes up to `most` bytes.
    std::size_t send(std::size_t most) {
        const JobSender::Output output = sender.output();
        std::string bytes(output.head);
        largest_output = std::max(largest_output, bytes.size());
        bytes += output.body;
        bytes.resize(std::min(most, bytes.size()));
        wire += bytes;
        sender.sent(bytes.size());
        return bytes.size();
    }
    void send_all(std::size_t piece = SIZE_MAX) {
        while (send(piece) > 0) {
        }
    }
    void parse() {
        for (;;) {
            const amqp::FrameParse parsed = amqp::parse_frame(wire, 131072);
            ASSERT_NE(parsed.status, amqp::Parse::bad_end);
            ASSERT_NE(parsed.status, amqp::Parse::too_large);
            if (parsed.status == amqp::Parse::need_more) return;
            take(parsed.frame);
            wire.erase(0, parsed.eaten);
        }
    }
    void take(const amqp::Frame& frame) {
        switch (static_cast<amqp::FrameType>(frame.type)) {
            case amqp::FrameType::method:
                if (amqp::load<amqp::MethodId>(frame.payload.data()) == amqp::BasicPublish::id) {
                    const auto method = amqp::decode<amqp::BasicPublish>(frame.payload.substr(4));
                    ASSERT_TRUE(method && method->mandatory);
                    open_ = {std::string(method->routing_key), "", ""};
                }
                break;
            case amqp::FrameType::header: {
                const auto header = amqp::parse_content_header(frame.payload);
                const auto properties = amqp::parse_properties(header->properties);
                EXPECT_TRUE(properties->persistent());
                open_.id = properties->message_id;
                body_left_ = header->body_size;
                if (body_left_ == 0) published.push_back(open_);
                break;
            }
            case amqp::FrameType::body:
                open_.body += frame.payload;
                ASSERT_LE(frame.payload.size(), body_left_);
                body_left_ -= frame.payload.size();
                if (body_left_ == 0) published.push_back(open_);
                break;
            case amqp::FrameType::heartbeat:
                ++heartbeats;
                break;
        }
    }
    void give_back(const std::string& id) {
        amqp::BasicReturn returned;
        returned.reply_code = 312;
        ASSERT_TRUE(say(returned));
        amqp::Properties properties;
        properties.flags = amqp::Properties::has_message_id;
        properties.message_id = std::string_view(id);
        std::string bytes, content;
        amqp::append_properties(bytes, properties);
        content.resize(amqp::content_size(bytes.size(), 2, 4096));
        amqp::store_content(content.data(), 1, bytes, "xx", 4096);
        ASSERT_TRUE(sender.receive(content, now));
    }
};

TEST_F(JobSenderTest, sends_what_waited_for_the_connection_and_tells_of_the_confirm) {
    Customer& customer = publish("hello", "id-1");
    EXPECT_TRUE(sender.has_waiting());
    connect();
    send_all();
    parse();
    ASSERT_EQ(published.size(), 1u);
    EXPECT_EQ(published[0].queue, "orders");
    EXPECT_EQ(published[0].id, "id-1");
    EXPECT_EQ(published[0].body, "hello");
    EXPECT_TRUE(customer.told.empty());
    ASSERT_TRUE(say(amqp::BasicAck{1, false}));
    EXPECT_EQ(customer.told, std::vector{confirmed});
    EXPECT_EQ(sender.unconfirmed(), 0u);
    EXPECT_LE(budget.used(), MemoryShare::step_bytes);
}

TEST_F(JobSenderTest, sends_large_bodies_whole_whatever_the_socket_takes) {
    for (const std::size_t piece : {std::size_t{1'000'000}, std::size_t{4'999}}) {
        for (const std::uint32_t frame_max : {4096u, 131072u}) {
            published.clear();
            connect(frame_max);
            std::vector<std::string> bodies;
            for (const std::size_t size : {0u, 1u, 16384u, 16385u, 300'000u, 70'000u}) {
                bodies.emplace_back(size, static_cast<char>('a' + bodies.size()));
                publish(bodies.back());
            }
            for (int i = 0; send(piece) > 0; ++i) {
                if (i % 7 == 3) pass_to_heartbeat();
                ASSERT_LT(i, 100'000);
            }
            parse();
            EXPECT_TRUE(wire.empty());
            ASSERT_EQ(published.size(), bodies.size());
            for (std::size_t i = 0; i < bodies.size(); ++i) EXPECT_EQ(published[i].body, bodies[i]);
            ASSERT_TRUE(say(amqp::BasicAck{0, true}));
            EXPECT_EQ(sender.unconfirmed(), 0u);
        }
    }
    EXPECT_GT(heartbeats, 0);
}

TEST_F(JobSenderTest, keeps_its_output_bounded_while_the_socket_takes_little) {
    connect();
    for (int round = 0; round < 2'000; ++round) {
        publish(std::string(1'000, 'x'));
        send(900);
    }
    EXPECT_LE(largest_output, JobSender::out_bytes_max + 4096);
}

TEST_F(JobSenderTest, withdraws_what_was_not_sent) {
    Customer& early = publish("early");
    EXPECT_EQ(sender.forget(early), Sent::nothing);
    connect();
    send_all();
    parse();
    EXPECT_TRUE(published.empty());

    Customer& large = publish(std::string(500'000, 'x'));
    Customer& behind = publish("behind");
    send(70'000);
    EXPECT_EQ(sender.forget(behind), Sent::nothing);
    EXPECT_EQ(sender.forget(large), Sent::part);
    send_all();  // when the connection goes on all the same, its frames stay whole
    parse();
    ASSERT_EQ(published.size(), 1u);
    Customer& sent = publish("sent");
    send_all();
    EXPECT_EQ(sender.forget(sent), Sent::whole);
    ASSERT_TRUE(say(amqp::BasicAck{2, true}));
    EXPECT_TRUE(sent.told.empty() && large.told.empty() && behind.told.empty());
    EXPECT_LE(budget.used(), MemoryShare::step_bytes);
}

TEST_F(JobSenderTest, refuses_at_once_while_the_broker_is_blocked) {
    connect();
    Customer& sent = publish("sent");
    send_all();
    publish(std::string(1'000'000, 'l'));
    Customer& waiting = publish("waiting");
    amqp::ConnectionBlocked blocked_now;
    blocked_now.reason = "low on disk\n";
    ASSERT_TRUE(say(blocked_now, 0));
    EXPECT_EQ(waiting.told, std::vector{blocked});
    EXPECT_EQ(publish("late").told, std::vector{blocked});
    EXPECT_TRUE(sent.told.empty());
    EXPECT_EQ(sender.blocked_reason(), "low on disk?");
    EXPECT_FALSE(sender.takes_messages());
    ASSERT_TRUE(say(amqp::ConnectionUnblocked{}, 0));
    EXPECT_TRUE(sender.takes_messages());
    ASSERT_TRUE(say(amqp::BasicAck{1, false}));
    EXPECT_EQ(sent.told, std::vector{confirmed});
    Customer& later = publish("later");
    send_all();
    parse();
    EXPECT_EQ(published.back().body, "later");
    EXPECT_TRUE(later.told.empty());
}

TEST_F(JobSenderTest, sends_again_what_was_not_confirmed_in_its_order) {
    connect();
    for (int i = 0; i < 5; ++i) publish("body-" + std::to_string(i), "id-" + std::to_string(i));
    send_all();
    parse();
    ASSERT_TRUE(say(amqp::BasicAck{2, false}));
    EXPECT_EQ(sender.forget(customers[3]), Sent::whole);
    sender.closed(now);
    publish("body-5", "id-5");
    published.clear();
    connect();
    send_all();
    parse();
    std::vector<std::string> ids;
    for (const Published& one : published) ids.push_back(one.id);
    EXPECT_EQ(ids, (std::vector<std::string>{"id-0", "id-2", "id-4", "id-5"}));
    ASSERT_TRUE(say(amqp::BasicAck{4, true}));
    EXPECT_EQ(customers[4].told, std::vector{confirmed});
}

TEST_F(JobSenderTest, tells_of_returned_and_refused_jobs) {
    connect();
    Customer& nowhere = publish("a", "id-a");
    Customer& refused_one = publish("b", "id-b");
    Customer& fine = publish("c", "id-c");
    send_all();
    give_back("id-a");
    give_back("nobody's");
    EXPECT_EQ(nowhere.told, std::vector{unroutable});
    ASSERT_TRUE(say(amqp::BasicAck{1, false}));
    ASSERT_TRUE(say(amqp::BasicNack{2, false, false}));
    ASSERT_TRUE(say(amqp::BasicAck{3, false}));
    ASSERT_TRUE(say(amqp::BasicAck{3, false}));  // again, and of what never was
    ASSERT_TRUE(say(amqp::BasicAck{UINT64_MAX, true}));
    EXPECT_EQ(nowhere.told.size(), 1u);
    EXPECT_EQ(refused_one.told, std::vector{refused});
    EXPECT_EQ(fine.told, std::vector{confirmed});
}

TEST_F(JobSenderTest, a_closed_channel_refuses_what_was_sent_and_keeps_what_was_not) {
    connect();
    Customer& sent = publish("sent");
    Customer next;
    sent.then = [&] { publish_for(next, "next", "id-next"); };
    send_all();
    amqp::ChannelClose close;
    close.reply_code = 406;
    close.reply_text = "no";
    const Result<> ended = say(close);
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().message, "closed by the broker: 406 no");
    EXPECT_EQ(sent.told, std::vector{refused});
    sender.closed(now);
    published.clear();
    connect();
    send_all();
    parse();
    ASSERT_EQ(published.size(), 1u);
    EXPECT_EQ(published[0].body, "next");
}

TEST_F(JobSenderTest, whoever_is_told_may_publish_at_once) {
    connect();
    Customer again;
    Customer& first = publish("first");
    publish("second");
    first.then = [&] { publish_for(again, "again", "id-again"); };
    send_all();
    ASSERT_TRUE(say(amqp::BasicAck{2, true}));
    send_all();
    parse();
    EXPECT_EQ(published.back().body, "again");
    ASSERT_TRUE(say(amqp::BasicAck{3, false}));
    EXPECT_EQ(again.told, std::vector{confirmed});
}

TEST_F(JobSenderTest, takes_no_nonsense) {
    const auto refuses = [&](auto give) {
        connect();
        const Result<> taken = give();
        EXPECT_FALSE(taken);
        sender.closed(now);
    };
    refuses([&] { return sender.receive("HTTP/1.1 400 Bad Request\r\n\r\n", now); });
    refuses([&] { return say(amqp::ConfirmSelectOk{}); });
    refuses([&] { return say(amqp::ConnectionTune{2047, 4096, 60}, 0); });
    refuses([&] { return sender.receive(std::string("\x01\x00\x01\x00\x00\x00\x02\x00\x00\xce", 10), now); });
    sender.opened({"guest", "guest", "/"}, now);
    EXPECT_FALSE(say(amqp::BasicAck{1, false}));
    sender.opened({"guest", "guest", "/"}, now);
    ASSERT_TRUE(say(amqp::ConnectionStart{}, 0));
    EXPECT_FALSE(say(amqp::ConnectionTune{2047, 8, 60}, 0)) << "no frame fits into eight bytes";
}

TEST_F(JobSenderTest, a_job_whose_head_fits_no_frame_is_refused) {
    connect(4096);
    Customer customer;
    Job job{HeldBytes(share)};
    job.id = "id";
    job.queue = "orders";
    job.headers.emplace_back("X-Large", std::string(5'000, 'x'));
    sender.publish(std::move(job), customer);
    EXPECT_EQ(customer.told, std::vector{refused});
}

TEST_F(JobSenderTest, connects_for_a_job_and_pauses_longer_after_each_failure) {
    EXPECT_FALSE(sender.wants_connection(now)) << "there is no job";
    publish("job");
    EXPECT_TRUE(sender.wants_connection(now));
    std::vector<milliseconds> pauses;
    for (int i = 0; i < 10; ++i) {
        sender.closed(now);
        EXPECT_FALSE(sender.wants_connection(now));
        pauses.push_back(std::chrono::duration_cast<milliseconds>(sender.retry_at() - now));
        now = sender.retry_at();
        EXPECT_TRUE(sender.wants_connection(now));
    }
    const std::vector<int> expected{1, 40, 80, 160, 320, 640, 1'280, 2'000, 2'000, 2'000};
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(pauses[i].count(), expected[i]);
    connect();
    EXPECT_EQ(sender.failures(), 0u);
}

TEST_F(JobSenderTest, what_is_given_up_is_withdrawn_where_the_broker_cannot_have_it) {
    Customer& unsent = publish("waits for a connection");
    EXPECT_TRUE(sender.give_up(unsent, now, now + seconds(5), false).withdrawn);

    connect();
    Customer& taken = publish("sent");
    send_all();
    const Time asked = now;
    now += seconds(5);
    JobSender::GivenUp given_up = sender.give_up(taken, asked, now, false);
    EXPECT_FALSE(given_up.withdrawn) << "the broker has read it";
    EXPECT_EQ(given_up.end_because, "");

    Customer& unread = publish("sent, and not read by the broker");
    send_all();
    given_up = sender.give_up(unread, now, now + seconds(5), true);
    EXPECT_FALSE(given_up.withdrawn) << "some of it may have been";
    EXPECT_EQ(given_up.end_because, "it reads nothing");

    Customer& large = publish(std::string(500'000, 'x'));
    send(70'000);
    given_up = sender.give_up(large, now, now + seconds(5), false);
    EXPECT_TRUE(given_up.withdrawn) << "its end will never be sent";
    EXPECT_EQ(given_up.end_because, "it reads nothing");
    sender.closed(now);

    connect();
    Customer& held = publish("sent before the broker was blocked");
    send_all();
    ASSERT_TRUE(say(amqp::ConnectionBlocked{"low on disk"}, 0));
    given_up = sender.give_up(held, now - seconds(5), now, false);
    EXPECT_FALSE(given_up.withdrawn);
    EXPECT_EQ(given_up.end_because, "it is blocked and holds back what it was sent");
    sender.closed(now);

    connect();
    Customer& silent = publish("read and never confirmed");
    send_all();
    EXPECT_EQ(sender.give_up(silent, now - seconds(5), now + seconds(16), false).end_because,
              "it confirms nothing");
}

// Its broker died between accepting it and saying so: nobody knows.
TEST_F(JobSenderTest, what_left_whole_on_a_broken_connection_is_never_called_not_accepted) {
    connect();
    Customer& first = publish("first", "id-1");
    Customer& second = publish("second", "id-2");
    Customer& third = publish("third", "id-3");
    Customer& large = publish(std::string(500'000, 'x'));
    send(100'000);
    Customer& unsent = publish("unsent");
    sender.closed(now);
    EXPECT_FALSE(sender.give_up(first, now, now + seconds(5), false).withdrawn);
    EXPECT_TRUE(sender.give_up(large, now, now + seconds(5), false).withdrawn)
        << "only a part of it had left";
    connect();
    published.clear();
    parse();
    ASSERT_TRUE(say(amqp::ConnectionBlocked{"low on disk"}, 0));
    EXPECT_TRUE(second.told.empty()) << "it was sent again, and waits for its confirm";
    sender.closed(now);
    sender.opened({"guest", "guest", "/"}, now);
    ASSERT_TRUE(say(amqp::ConnectionStart{}, 0));
    ASSERT_TRUE(say(amqp::ConnectionBlocked{"low on disk"}, 0));
    EXPECT_TRUE(second.told.empty()) << "it waits for the broker to take messages, or for its deadline";
    EXPECT_TRUE(unsent.told.empty()) << "it too had been sent";
    EXPECT_EQ(publish("anew").told, std::vector{blocked});
    ASSERT_TRUE(say(amqp::ConnectionUnblocked{}, 0));
    connect();
    send_all();
    give_back("id-2");
    EXPECT_EQ(second.told, std::vector{timed_out});
    EXPECT_EQ(sender.give_up(second, now - seconds(5), now + seconds(60), true).end_because, "")
        << "it was told, and asks only what that means";
    ASSERT_TRUE(say(amqp::BasicNack{2, false, false}));
    EXPECT_EQ(third.told, std::vector{timed_out});
    ASSERT_TRUE(say(amqp::BasicAck{3, false}));
    EXPECT_EQ(unsent.told, std::vector{confirmed});
}

// Each confirm and each withdrawal is found at once, whatever else is in flight.
TEST_F(JobSenderTest, many_jobs_in_flight_cost_no_more_each) {
    connect();
    constexpr std::uint64_t count = 100'000;
    for (std::uint64_t i = 0; i < count; ++i) publish("", "id-" + std::to_string(i));
    send_all();
    for (std::uint64_t tag = count; tag > 1; --tag) {
        if (tag % 3 == 0) sender.forget(customers[tag - 1]);
        if (tag % 3 == 1) give_back("id-" + std::to_string(tag - 1));
        ASSERT_TRUE(say(amqp::BasicAck{tag, false}));
    }
    ASSERT_TRUE(say(amqp::BasicAck{1, false}));
    EXPECT_EQ(sender.unconfirmed(), 0u);
}

}  // namespace
}  // namespace havn::gateway
