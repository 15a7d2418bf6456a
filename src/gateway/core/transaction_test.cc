#include "gateway/core/transaction.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

namespace havn::gateway {
namespace {

using Begun = Source::Begun;
using Found = Source::Found;

// A client that has sent its whole head, and pieces of a body; what it is sent is kept.
class FakeDownstream final : public Downstream {
  public:
    explicit FakeDownstream(http1::Method method = http1::Method::get) {
        request_.head.method = method;
        request_.head.method_text = "GET";
        request_.facts.path = "/";
        request_.facts.keep_alive = true;
        request_.id = "ID";
        request_.client = "1.2.3.4";
    }

    const Request& request() const override { return request_; }
    Body read_body(Piece& piece) override {
        if (at_hand) {
            piece = {.bytes = "first", .last = whole_at_hand};
            at_hand = false;
            done = whole_at_hand;
            return Body::piece;
        }
        if (body.empty()) return Body::wait;
        const Body next = body.front();
        body.pop_front();
        if (next == Body::piece) piece = {.bytes = "more", .last = done = body.empty()};
        return next;
    }
    bool body_at_hand() const override { return at_hand; }
    bool body_done() const override { return done; }
    std::uint64_t body_bytes() const override { return 0; }
    http1::Rule body_rule() const override { return http1::Rule::chunk_end; }
    void release_body() override {}
    Body discard_body() override { return Body::piece; }
    bool send_interim(const Response& response) override { return put_head(response); }
    bool send_head(const Response& response) override { return put_head(response); }
    bool switch_protocols(const Response& response) override { return put_head(response); }
    void send_body(const Piece& piece) override { unsent += piece.bytes; }
    bool has_unsent() const override { return !unsent.empty(); }
    Flushed flush() override {
        if (gone) return {Flushed::Status::failed, false};
        if (blocked) return {Flushed::Status::blocked, false};
        sent += std::exchange(unsent, {});
        return {Flushed::Status::done, true};
    }
    void drop_unsent() override { unsent.clear(); }
    void finish(End end) override { ends.push_back(end); }
    void drive() override { ++drives; }
    void drive_later() override { ++later; }

    Request request_;
    bool at_hand = false, whole_at_hand = true, done = true, gone = false, blocked = false, fits = true;
    std::deque<Body> body;
    std::string unsent, sent;
    std::vector<End> ends;
    int drives = 0, later = 0;

  private:
    bool put_head(const Response& response) {
        if (!fits && !response.own) return false;
        unsent += std::to_string(response.head->status) + " ";
        return true;
    }
};

// Does what its script says, call by call; keeps what it was asked.
class FakeSource final : public Source {
  public:
    Begun begin(const Request&, const RouteEntry&, bool, SourceUser&) override {
        return next_begun("begin ");
    }
    Begun begin_again(Next next) override {
        return next_begun(next == Next::same_endpoint ? "same " : "other ");
    }
    Found connect() override { return connecting.empty() ? Found::waiting : take(connecting); }
    Found put(const Piece& piece) override {
        calls += "put:" + std::string(piece.bytes) + " ";
        unsent = true;
        return Found::progress;
    }
    bool has_unsent() const override { return unsent; }
    Flushed flush() override {
        calls += "flush ";
        unsent = false;
        facts.bytes_sent = true;
        return {Flushed::Status::done, true};
    }
    Found end_request() override { return at_end; }
    void half_close() override { calls += "half "; }
    Found read(Response& response) override {
        if (found.empty()) return Found::waiting;
        const Found next = take(found);
        if (next == Found::interim || next == Found::head) {
            head.status = next == Found::interim ? 103 : 200;
            response.head = &head;
            response.facts = &head_facts;
        }
        if (next == Found::head || next == Found::body) response.body = {.bytes = "body", .last = whole};
        return next;
    }
    void head_passed() override { calls += "passed "; }
    void expect_silence() override {}
    Found expire() override { return at_expiry; }
    Time deadline() const override { return Time(seconds(1005)); }
    Failure failure() const override { return why; }
    Attempt attempt() const override { return facts; }
    void attempt_failed(Failure, bool blames) override { calls += blames ? "blamed " : "unblamed "; }
    void explain(OwnAnswer& answer) const override { answer.error(431, "refused", "too large"); }
    void release(bool complete) override { calls += complete ? "kept " : "released "; }
    std::string_view address() const override { return "1"; }

    std::deque<Begun> begun;
    std::deque<Found> connecting, found;
    std::string calls;
    Attempt facts;
    Failure why = Failure::closed;
    Found at_end = Found::progress, at_expiry = Found::failed;
    bool unsent = false, whole = true;
    http1::ResponseHead head;
    http1::ResponseFacts head_facts;

  private:
    Begun next_begun(const char* call) {
        calls += call;
        unsent = true;  // the head
        facts.bytes_sent = false;
        return begun.empty() ? Begun::failed : take(begun);
    }
    template <class Value>
    static Value take(std::deque<Value>& script) {
        const Value value = script.front();
        script.pop_front();
        return value;
    }
};

class Lines final : public LineSink {
  public:
    bool submit(std::string text) override {
        lines += text;
        return true;
    }
    std::string lines;
};

class TransactionTest : public testing::Test, public Connector, public Clusters::Observer {
  protected:
    TransactionTest() {
        Config config;
        config.upstreams.push_back({.name = "web", .weights = {}});
        Route route;
        route.path = "/";
        route.service = "web";
        route.idle_timeout = seconds(60);
        config.routes.push_back(route);
        settings.set(std::make_shared<const Config>(config));
        clock.set(Time(seconds(1000)), WallTime{});
    }
    ~TransactionTest() override = default;

    Result<std::unique_ptr<Destination>> destination(const std::string&) override {
        return fail(Error::Kind::invalid, "nobody connects here");
    }
    void on_drained(const std::string&, std::uint64_t) override {}

    void begin() {
        transaction.begin(client);
        transaction.run();
    }
    void pass(Duration time) {
        clock.set(clock.now() + time, WallTime{});
        deadlines.advance(clock.now(),
                          [](Deadlines::Entry& entry) { static_cast<Timer&>(entry).on_deadline(); });
        transaction.run();
    }
    std::string log_line() {
        log.flush();
        return lines.lines;
    }

    TurnClock clock;
    Deadlines deadlines{Time(seconds(1000))};
    Metrics metrics;
    Retired retired;
    Clusters clusters{*this, metrics, retired, *this};
    Settings settings{clusters, metrics};
    Lines lines;
    LogBuffer log{clock, deadlines, metrics, lines};
    Transaction::Environment environment{clock, deadlines, settings, metrics, log};
    FakeDownstream client;
    FakeSource service, queue;
    Transaction transaction{environment, {.service = service, .queue = queue}};
};

TEST_F(TransactionTest, takes_a_request_there_and_its_response_back) {
    service.begun = {Begun::connected};
    service.found = {Found::head};
    begin();
    EXPECT_EQ(client.sent, "200 body");
    EXPECT_EQ(client.ends, std::vector{Downstream::End::complete});
    EXPECT_EQ(service.calls, "begin flush passed kept ");
    EXPECT_EQ(metrics.requests_in_flight.value(), 0u);
    EXPECT_NE(log_line().find("\"status\":200,\"bytes_in\":0,\"bytes_out\":4"), std::string::npos);
}

TEST_F(TransactionTest, sends_a_retry_that_found_an_open_connection_at_once) {
    service.begun = {Begun::connected, Begun::connected};
    service.found = {Found::failed, Found::head};
    begin();
    EXPECT_EQ(service.calls, "begin flush blamed other flush passed kept ");
    EXPECT_EQ(client.sent, "200 body");
}

TEST_F(TransactionTest, gives_each_attempt_what_came_with_the_head) {
    client.request_.head.method = http1::Method::put;
    client.at_hand = true;
    client.done = false;
    service.begun = {Begun::connected, Begun::connected};
    service.found = {Found::failed, Found::head};
    begin();
    EXPECT_EQ(service.calls, "begin put:first flush blamed other put:first flush passed kept ");
}

TEST_F(TransactionTest, repeats_nothing_of_which_the_body_is_gone) {
    client.request_.head.method = http1::Method::put;
    client.done = false;
    client.body = {Downstream::Body::piece};
    service.begun = {Begun::connected, Begun::connected};
    service.found = {Found::progress, Found::failed};
    begin();
    EXPECT_EQ(client.sent.substr(0, 4), "502 ");
    EXPECT_EQ(service.calls.find("other"), std::string::npos);
}

TEST_F(TransactionTest, answers_what_a_source_refuses) {
    service.begun = {Begun::answer};
    begin();
    EXPECT_EQ(client.sent.substr(0, 4), "431 ");
    EXPECT_EQ(client.ends, std::vector{Downstream::End::complete});
}

TEST_F(TransactionTest, keeps_the_rest_of_an_interim_response_before_its_own_answer) {
    service.begun = {Begun::connected};
    service.found = {Found::interim};
    begin();
    EXPECT_EQ(client.sent, "103 ");
    client.unsent = "rest ";
    client.blocked = true;
    service.why = Failure::timeout;
    pass(seconds(61));
    client.blocked = false;
    transaction.run();
    EXPECT_EQ(client.sent.substr(0, 13), "103 rest 504 ");
}

TEST_F(TransactionTest, drops_an_interim_response_of_which_nothing_was_sent) {
    service.begun = {Begun::connected};
    service.found = {Found::interim};
    client.blocked = true;
    begin();
    EXPECT_EQ(client.unsent, "103 ");
    service.why = Failure::timeout;
    pass(seconds(61));
    client.blocked = false;
    transaction.run();
    EXPECT_EQ(client.sent.substr(0, 4), "504 ");
}

TEST_F(TransactionTest, is_not_cut_while_bytes_come) {
    service.begun = {Begun::connected};
    service.whole = false;
    service.found = {Found::head};
    begin();
    for (int i = 0; i < 10; ++i) {
        service.found = {Found::body};
        pass(seconds(50));
    }
    EXPECT_TRUE(client.ends.empty());
    pass(seconds(61));
    EXPECT_EQ(client.ends, std::vector{Downstream::End::cut});
    EXPECT_NE(log_line().find("\"cause\":\"timeout\""), std::string::npos);
}

TEST_F(TransactionTest, blames_the_client_that_owes_its_body) {
    client.done = false;
    service.begun = {Begun::connected};
    begin();
    pass(seconds(61));
    EXPECT_EQ(client.sent.substr(0, 4), "408 ");
    EXPECT_EQ(service.calls.find("blamed"), std::string::npos);
    EXPECT_EQ(client.ends, std::vector{Downstream::End::early});
}

TEST_F(TransactionTest, an_answer_before_the_upload_is_over_leaves_the_rest_to_the_downstream) {
    client.done = false;
    service.begun = {Begun::connected};
    service.found = {Found::head};
    begin();
    EXPECT_EQ(client.ends, std::vector{Downstream::End::early});
    EXPECT_EQ(service.calls, "begin flush passed released ");
}

TEST_F(TransactionTest, cuts_what_broke_off) {
    service.begun = {Begun::connected};
    service.whole = false;
    service.found = {Found::head, Found::broken};
    begin();
    EXPECT_EQ(client.ends, std::vector{Downstream::End::cut});
    EXPECT_NE(log_line().find("\"cause\":\"cut\""), std::string::npos);
}

TEST_F(TransactionTest, a_head_that_does_not_fit_is_answered_502) {
    client.fits = false;
    service.begun = {Begun::connected};
    service.found = {Found::head};
    begin();
    EXPECT_EQ(client.sent.substr(0, 4), "502 ");
    EXPECT_EQ(service.calls.find("passed"), std::string::npos);
}

TEST_F(TransactionTest, a_client_that_is_gone_is_logged_as_499) {
    service.begun = {Begun::connecting};
    begin();
    transaction.client_lost();
    EXPECT_EQ(client.ends, std::vector{Downstream::End::gone});
    EXPECT_EQ(service.calls, "begin released ");
    EXPECT_NE(log_line().find("\"status\":499"), std::string::npos);
}

TEST_F(TransactionTest, a_connection_that_does_not_open_in_time_is_tried_elsewhere) {
    service.begun = {Begun::connecting, Begun::connected};
    service.why = Failure::connect;
    begin();
    service.found = {Found::head};
    pass(seconds(2));
    EXPECT_EQ(client.sent, "200 body");
    EXPECT_EQ(service.calls, "begin blamed other flush passed kept ");
}

TEST_F(TransactionTest, waits_for_a_source_that_has_it_all_for_as_long_as_that_says) {
    service.begun = {Begun::connected};
    service.at_end = Found::delivered;
    service.at_expiry = Found::answer;
    begin();
    EXPECT_EQ(transaction.state(), TransactionState::settling);
    pass(seconds(4));
    EXPECT_EQ(transaction.state(), TransactionState::settling);
    pass(seconds(2));
    EXPECT_EQ(client.sent.substr(0, 4), "431 ");
}

TEST_F(TransactionTest, an_answer_that_is_not_taken_is_cut) {
    client.blocked = true;
    begin();
    EXPECT_EQ(transaction.state(), TransactionState::answering);
    pass(seconds(11));
    EXPECT_EQ(client.ends, std::vector{Downstream::End::cut});
}

}  // namespace
}  // namespace havn::gateway
