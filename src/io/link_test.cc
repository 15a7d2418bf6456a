#include "io/link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "io/loop.h"

namespace havn::io {
namespace {

struct LinkTest : testing::Test {
    Loop loop;
    std::pair<Fd, Fd> ends = Link::make_pair().value();
    Link ours{loop.executor(), std::move(ends.first)};
    Link theirs{loop.executor(), std::move(ends.second)};
    std::vector<Result<Link::Message>> received;

    static Task<void> receive(LinkTest* self, int count) {
        for (int i = 0; i < count; ++i) {
            Result<Link::Message> message = co_await self->theirs.receive();
            const bool failed = !message;
            self->received.push_back(std::move(message));
            if (failed) break;
        }
    }
    void run_receiving(int count) {
        loop.spawn(receive(this, count));
        loop.run();
    }
};

TEST_F(LinkTest, messages_arrive_in_order) {
    ours.send({{"n", 1}});
    ours.send({{"n", 2}});
    run_receiving(2);
    ASSERT_EQ(received.size(), 2u);
    EXPECT_EQ(received[0]->body["n"], 1);
    EXPECT_EQ(received[1]->body["n"], 2);
}

TEST_F(LinkTest, descriptors_come_with_their_own_message) {
    Fd file(::open("/dev/null", O_RDONLY));
    ours.send({{"n", 1}});
    ours.send({{"n", 2}}, {file.get(), file.get()});
    ours.send({{"n", 3}});
    run_receiving(3);
    ASSERT_EQ(received.size(), 3u);
    EXPECT_TRUE(received[0]->descriptors.empty());
    ASSERT_EQ(received[1]->descriptors.size(), 2u);
    EXPECT_TRUE(received[2]->descriptors.empty());
    struct stat sent{}, got{};
    ::fstat(file.get(), &sent);
    ::fstat(received[1]->descriptors[0].get(), &got);
    EXPECT_EQ(sent.st_rdev, got.st_rdev);
}

TEST_F(LinkTest, a_message_larger_than_the_socket_buffer_arrives_whole) {
    const std::string text(5u << 20, 'x');
    ours.send({{"text", text}});
    run_receiving(1);
    ASSERT_TRUE(received[0].has_value());
    EXPECT_EQ(received[0]->body["text"].get<std::string>().size(), text.size());
}

TEST_F(LinkTest, a_message_past_the_limits_is_an_error_and_the_link_goes_on) {
    const std::vector<int> too_many(Link::descriptors_max + 1, 0);
    EXPECT_EQ(ours.send({{"n", 1}}, too_many).error().kind, Error::Kind::invalid);
    EXPECT_EQ(ours.send({{"text", std::string(Link::message_bytes_max, 'x')}}).error().kind,
              Error::Kind::invalid);
    EXPECT_TRUE(ours.send({{"n", 2}}).has_value());
    run_receiving(1);
    EXPECT_EQ(received[0]->body["n"], 2);
}

// No descriptor can be opened while this lives.
class NoDescriptorsLeft {
  public:
    NoDescriptorsLeft() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        rlimit none = before_;
        none.rlim_cur = 0;
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    ~NoDescriptorsLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }

  private:
    rlimit before_{};
};

TEST_F(LinkTest, without_a_descriptor_left_sending_one_is_an_error) {
#if __has_feature(undefined_behavior_sanitizer) || __has_feature(address_sanitizer)
    GTEST_SKIP() << "UBSan opens a pipe to look at memory, and takes its failure for a bad pointer";
#endif
    const NoDescriptorsLeft none;
    EXPECT_EQ(ours.send({{"n", 1}}, {0}).error().kind, Error::Kind::unavailable);
    EXPECT_TRUE(ours.is_open());
}

TEST_F(LinkTest, descriptors_that_found_no_room_are_told_of) {
#if __has_feature(undefined_behavior_sanitizer) || __has_feature(address_sanitizer)
    GTEST_SKIP() << "UBSan opens a pipe to look at memory, and takes its failure for a bad pointer";
#endif
    ASSERT_TRUE(ours.send({{"n", 1}}, {0, 0}).has_value());
    ASSERT_TRUE(ours.send({{"n", 2}}, {0}).has_value());
    struct Steps {
        static Task<void> run(LinkTest* self) {
            {
                const NoDescriptorsLeft none;
                self->received.push_back(co_await self->theirs.receive());
            }
            self->received.push_back(co_await self->theirs.receive());
        }
    };
    loop.spawn(Steps::run(this));
    loop.run();
    ASSERT_EQ(received.size(), 2u);
    EXPECT_TRUE(received[0]->descriptors_lost);
    EXPECT_TRUE(received[0]->descriptors.empty());
    EXPECT_FALSE(received[1]->descriptors_lost);
    EXPECT_EQ(received[1]->descriptors.size(), 1u);
}

TEST_F(LinkTest, a_ping_is_answered_by_whoever_receives) {
    ASSERT_TRUE(ours.send({{"type", "ping"}}).has_value());
    ASSERT_TRUE(ours.send({{"n", 1}}).has_value());
    struct Answer {
        static Task<void> run(Link* link, std::string* type) {
            Result<Link::Message> message = co_await link->receive();
            *type = message->body.value("type", "");
        }
    };
    std::string type;
    loop.spawn(Answer::run(&ours, &type));
    run_receiving(1);
    EXPECT_EQ(received[0]->body["n"], 1);
    EXPECT_EQ(type, "pong");
}

TEST_F(LinkTest, whoever_said_that_it_is_ready_says_so_again_when_pinged) {
    struct Steps {
        static Task<void> ask(Loop* loop, Link* ours, Link* theirs, std::vector<Json>* told) {
            std::ignore = ours->send({{"type", "ping"}});
            told->push_back((co_await ours->receive()).value().body);
            std::ignore = theirs->send({{"type", "ready"}});
            std::ignore = ours->send({{"type", "ping"}});
            for (int i = 0; i < 2; ++i) told->push_back((co_await ours->receive()).value().body);
            loop->stop();
        }
        static Task<void> answer(Link* link) { std::ignore = co_await link->receive(); }
    };
    std::vector<Json> told;
    loop.spawn(Steps::answer(&theirs));
    loop.spawn(Steps::ask(&loop, &ours, &theirs, &told));
    loop.run();
    EXPECT_EQ(told, (std::vector<Json>{{{"type", "pong"}, {"ready", false}},
                                       {{"type", "ready"}},
                                       {{"type", "pong"}, {"ready", true}}}));
}

TEST_F(LinkTest, a_closed_peer_is_an_error_and_not_a_hang) {
    ours.close();
    run_receiving(1);
    ASSERT_EQ(received.size(), 1u);
    EXPECT_EQ(received[0].error().kind, Error::Kind::unavailable);
}

TEST(LinkGarbage, a_length_past_the_limit_disconnects) {
    Loop loop;
    std::pair<Fd, Fd> ends = Link::make_pair().value();
    ASSERT_EQ(::write(ends.first.get(), "\xff\xff\xff\xff", 4), 4);
    Link link(loop.executor(), std::move(ends.second));
    struct Receiver {
        static Task<void> run(Link* link, bool* refused) {
            Result<Link::Message> message = co_await link->receive();
            *refused = !message && message.error().kind == Error::Kind::invalid;
        }
    };
    bool refused = false;
    loop.spawn(Receiver::run(&link, &refused));
    loop.run();
    EXPECT_TRUE(refused);
    EXPECT_FALSE(link.is_open());
}

}  // namespace
}  // namespace havn::io
