#include "control/shell/component_link.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "control/engine/embedded_engine.h"
#include "io/clock.h"
#include "io/loop.h"
#include "rpc/server.h"

namespace havn::control {
namespace {

// Control's side of a platform whose gateway answers as the test wants; paths are relative to the folder.
struct ComponentLinkTest : testing::Test {
    io::Loop loop;
    std::filesystem::path before = std::filesystem::current_path();
    std::string folder = testing::TempDir() + "components.XXXXXX";
    std::pair<io::Fd, io::Fd> ends = io::Link::make_pair().value();
    SupervisorLink link{loop.executor(), std::move(ends.first)};
    io::Link supervisor{loop.executor(), std::move(ends.second)};
    EmbeddedEngine engine{"unix:run/broker.sock"};
    ComponentLink components{loop.executor(), link, engine};
    rpc::Server gateway{loop.executor()};
    std::optional<Error> answer;
    int asked = 0;

    void SetUp() override {
        ASSERT_NE(::mkdtemp(folder.data()), nullptr);
        std::filesystem::create_directory(folder + "/run");
        std::filesystem::current_path(folder);
        gateway.route("PUT", "/config", [this](rpc::Request request) { return put(std::move(request)); });
        ASSERT_TRUE(gateway.listen("run/gateway.sock"));
        link.on_table([this] { components.wake(); });
        loop.spawn(link.receive());
        loop.spawn(components.keep_informed());
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

TEST_F(ComponentLinkTest, a_part_is_told_once_and_its_successor_anew) {
    components.set(anything());
    gateway_is(10);
    run_until([&] { return asked == 1; });
    run_until([&] { return link.revision() == 1 && components.state().knows("gateway"); });
    gateway_is(10);
    run_until([&] { return link.revision() == 2; });
    EXPECT_TRUE(components.state().knows("gateway"));
    gateway_is(11);
    run_until([&] { return link.revision() == 3; });
    EXPECT_FALSE(components.state().knows("gateway"));
    run_until([&] { return components.state().knows("gateway"); });
    EXPECT_EQ(asked, 2);
    EXPECT_TRUE(components.state().refusals().empty());
}

TEST_F(ComponentLinkTest, a_refusal_is_known_with_its_cause_until_it_is_over) {
    answer = no;
    components.set(anything());
    gateway_is(10);
    run_until([&] { return !components.state().refusals().empty(); });
    EXPECT_FALSE(components.state().knows("gateway"));
    EXPECT_EQ(components.state().refusals().at("gateway").text(), no.text());
    answer.reset();
    components.try_again();
    run_until([&] { return components.state().knows("gateway"); });
    EXPECT_TRUE(components.state().refusals().empty());
}

TEST_F(ComponentLinkTest, a_refusal_is_that_of_one_process) {
    answer = no;
    components.set(anything());
    gateway_is(10);
    run_until([&] { return !components.state().refusals().empty(); });
    answer.reset();
    gateway_is(0);
    run_until([&] { return components.state().refusals().empty(); });
    gateway_is(11);
    run_until([&] { return link.revision() == 3 && components.state().knows("gateway"); });
}

TEST_F(ComponentLinkTest, who_refuses_is_asked_again_unasked_and_what_it_says_last_counts) {
    answer = no;
    components.set(anything());
    gateway_is(10);
    run_until([&] { return asked >= 1; });
    answer->message = "'mail' is in the way";
    run_until([&] {
        return components.state().refusals().contains("gateway") &&
               components.state().refusals().at("gateway").message == answer->message;
    });
    answer.reset();
    run_until([&] { return components.state().knows("gateway"); });
    EXPECT_LE(asked, 4) << "once a second, or less often";
}

TEST_F(ComponentLinkTest, a_refusal_of_the_former_configuration_is_none_of_the_next) {
    answer = no;
    components.set(anything());
    gateway_is(10);
    run_until([&] { return !components.state().refusals().empty(); });
    answer.reset();
    components.set(anything());
    run_until([&] { return components.state().knows("gateway"); });
    EXPECT_TRUE(components.state().refusals().empty());
}

}  // namespace
}  // namespace havn::control
