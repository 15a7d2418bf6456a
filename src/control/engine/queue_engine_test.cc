#include "control/engine/queue_engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "control/engine/embedded_engine.h"
#include "control/engine/external_engine.h"
#include "io/clock.h"
#include "io/loop.h"
#include "rpc/server.h"

namespace havn::control {
namespace {

// A broker that answers what the test wants, on a socket of its own.
struct EngineTest : testing::Test {
    io::Loop loop;
    std::string path = testing::TempDir() + "engine." + std::to_string(::getpid()) + ".sock";
    rpc::Server broker{loop.executor()};
    EmbeddedEngine engine{"unix:" + path};
    Json rows = Json::array(), config;
    std::string purged;

    void SetUp() override {
        broker.route("GET", "/queues", [this](rpc::Request request) { return queues(std::move(request)); });
        broker.route("PUT", "/config", [this](rpc::Request request) { return put(std::move(request)); });
        broker.route("POST", "/vhosts/{vhost}/queues/{name}/purge",
                     [this](rpc::Request request) { return purge(std::move(request)); });
        ASSERT_TRUE(broker.listen(path));
    }
    io::Task<rpc::Response> queues(rpc::Request) { co_return rpc::json(rows); }
    io::Task<rpc::Response> put(rpc::Request request) {
        config = request.json().value();
        co_return rpc::json({{"revision", 1}});
    }
    io::Task<rpc::Response> purge(rpc::Request request) {
        purged = request.parameters["vhost"] + " " + request.parameters["name"];
        co_return rpc::json({{"purged", 17}});
    }

    template <class Value>
    static io::Task<void> keep(io::Task<Value> task, std::optional<Value>& answer) {
        Value value = co_await std::move(task);
        answer.emplace(std::move(value));
    }
    template <class Value>
    Value ask(io::Task<Value> task) {
        std::optional<Value> answer;
        loop.spawn(keep(std::move(task), answer));
        const Time deadline = io::now() + seconds(60);
        while (!answer && io::now() < deadline) loop.context().run_one_for(milliseconds(50));
        return std::move(answer.value());
    }
};

TEST_F(EngineTest, reads_the_queues_of_the_embedded_broker) {
    rows.push_back({{"vhost", "shop"},
                    {"name", "orders"},
                    {"ready", 3},
                    {"unacked", 2},
                    {"consumers", 0},
                    {"bytes", 500},
                    {"durable", true}});
    const auto queues = ask(engine.queues());
    ASSERT_TRUE(queues);
    ASSERT_EQ(queues->size(), 1u);
    EXPECT_EQ(queues->front().backlog(), 5u);
    EXPECT_EQ(queues->front().consumers, 0u);
    EXPECT_EQ(to_json(*queues), rows) << "the API shows what the broker said";
}

TEST_F(EngineTest, what_is_not_told_is_not_known) {
    rows.push_back({{"name", "orders"}, {"ready", 3}});
    const auto queues = ask(engine.queues());
    ASSERT_TRUE(queues);
    EXPECT_EQ(queues->front().consumers, std::nullopt);
    EXPECT_EQ(queues->front().published, std::nullopt);
    EXPECT_EQ(queues->front().backlog(), std::nullopt) << "half of a sum is a guess";
    rows[0]["vhost"] = "/";
    EXPECT_EQ(to_json(*queues), rows);
}

TEST_F(EngineTest, an_answer_that_is_none_is_refused) {
    for (const char* text : {"[1]", "[{}]", R"([{"name":"orders","ready":-1}])", "{}", R"([{"name":7}])"}) {
        rows = parse_json(text).value();
        EXPECT_FALSE(ask(engine.queues())) << text;
    }
}

TEST_F(EngineTest, purges_the_queue_of_that_name_and_applies_a_configuration) {
    EXPECT_EQ(ask(engine.purge("/", "a/b c")), 17u);
    EXPECT_EQ(purged, "/ a/b c");
    broker::Config wanted;
    wanted.revision = 7;
    EXPECT_TRUE(ask(engine.apply(wanted)));
    EXPECT_EQ(config, broker::to_json(wanted));
}

TEST_F(EngineTest, a_broker_that_is_not_there_is_unavailable) {
    EmbeddedEngine nobody("unix:" + path + ".none");
    const auto queues = ask(nobody.queues());
    ASSERT_FALSE(queues);
    EXPECT_EQ(queues.error().kind, Error::Kind::unavailable);
}

TEST_F(EngineTest, one_that_runs_elsewhere_says_whom_to_ask) {
    ExternalEngine elsewhere;
    const auto queues = ask(elsewhere.queues());
    ASSERT_FALSE(queues);
    EXPECT_EQ(queues.error().kind, Error::Kind::not_found);
    EXPECT_EQ(queues.error().remedy, "ask that broker");
    EXPECT_TRUE(ask(elsewhere.apply({}))) << "what it holds is declared by whoever runs it";
}

}  // namespace
}  // namespace havn::control
