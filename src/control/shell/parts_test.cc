#include "control/shell/parts.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "io/clock.h"
#include "io/loop.h"
#include "rpc/server.h"

namespace havn::control {
namespace {

// Control's side of a platform whose gateway answers as the test wants; paths are relative to the folder.
struct PartsTest : testing::Test {
    io::Loop loop;
    std::filesystem::path before = std::filesystem::current_path();
    std::string folder = testing::TempDir() + "parts.XXXXXX";
    std::pair<io::Fd, io::Fd> ends = io::Link::make_pair().value();
    SupervisorLink link{loop.executor(), std::move(ends.first)};
    io::Link supervisor{loop.executor(), std::move(ends.second)};
    Parts parts{loop.executor(), link};
    rpc::Server gateway{loop.executor()};
    std::optional<Error> answer;
    int asked = 0;

    void SetUp() override {
        ASSERT_NE(::mkdtemp(folder.data()), nullptr);
        std::filesystem::create_directory(folder + "/run");
        std::filesystem::current_path(folder);
        gateway.route("PUT", "/config", [this](rpc::Request request) { return put(std::move(request)); });
        ASSERT_TRUE(gateway.listen("run/gateway.sock"));
        link.on_table([this] { parts.wake(); });
        loop.spawn(link.receive());
        loop.spawn(parts.keep_told());
    }
    void TearDown() override {
        std::filesystem::current_path(before);
        std::filesystem::remove_all(folder);
    }

    Task<rpc::Response> put(rpc::Request) {
        ++asked;
        co_return answer ? rpc::error(*answer) : rpc::json(Json::object());
    }
    void gateway_is(int pid) {
        supervisor.send({{"type", "processes"},
                         {"processes",
                          {{{"name", "gateway"},
                            {"instance", 1},
                            {"kind", "platform"},
                            {"pid", pid},
                            {"state", "ready"}}}}});
    }
    template <class Condition>
    void run_until(Condition holds) {
        const Time deadline = io::now() + seconds(60);
        while (!holds() && io::now() < deadline) loop.context().run_one_for(milliseconds(50));
        ASSERT_TRUE(holds());
    }
};

Compiled anything() {
    Compiled compiled;
    compiled.supervisor.embedded_broker = false;
    return compiled;
}

const Error no{Error::Kind::conflict, "'orders' is in the way", "delete it"};

TEST_F(PartsTest, a_part_is_told_once_and_its_successor_anew) {
    parts.set(anything());
    gateway_is(10);
    run_until([&] { return asked == 1; });
    run_until([&] { return link.revision() == 1 && parts.told("gateway"); });
    gateway_is(10);
    run_until([&] { return link.revision() == 2; });
    EXPECT_TRUE(parts.told("gateway"));
    gateway_is(11);
    run_until([&] { return link.revision() == 3; });
    EXPECT_FALSE(parts.told("gateway"));
    run_until([&] { return parts.told("gateway"); });
    EXPECT_EQ(asked, 2);
    EXPECT_TRUE(parts.refusals().empty());
}

TEST_F(PartsTest, a_refusal_is_known_with_its_cause_until_it_is_over) {
    answer = no;
    parts.set(anything());
    gateway_is(10);
    run_until([&] { return !parts.refusals().empty(); });
    EXPECT_FALSE(parts.told("gateway"));
    EXPECT_EQ(parts.refusals().at("gateway").text(), no.text());
    answer.reset();
    parts.try_again();
    run_until([&] { return parts.told("gateway"); });
    EXPECT_TRUE(parts.refusals().empty());
}

TEST_F(PartsTest, a_refusal_is_that_of_one_process) {
    answer = no;
    parts.set(anything());
    gateway_is(10);
    run_until([&] { return !parts.refusals().empty(); });
    answer.reset();
    gateway_is(0);
    run_until([&] { return parts.refusals().empty(); });
    gateway_is(11);
    run_until([&] { return link.revision() == 3 && parts.told("gateway"); });
}

TEST_F(PartsTest, who_refuses_is_asked_again_unasked_and_what_it_says_last_counts) {
    answer = no;
    parts.set(anything());
    gateway_is(10);
    run_until([&] { return asked >= 1; });
    answer->message = "'mail' is in the way";
    run_until([&] {
        return parts.refusals().contains("gateway") &&
               parts.refusals().at("gateway").message == answer->message;
    });
    answer.reset();
    run_until([&] { return parts.told("gateway"); });
    EXPECT_LE(asked, 4) << "once a second, or less often";
}

TEST_F(PartsTest, a_refusal_of_the_former_configuration_is_none_of_the_next) {
    answer = no;
    parts.set(anything());
    gateway_is(10);
    run_until([&] { return !parts.refusals().empty(); });
    answer.reset();
    parts.set(anything());
    run_until([&] { return parts.told("gateway"); });
    EXPECT_TRUE(parts.refusals().empty());
}

}  // namespace
}  // namespace havn::control
