#include "control/shell/metrics_listeners.h"

#include <gtest/gtest.h>

#include "io/loop.h"
#include "io/net.h"
#include "rpc/client.h"

namespace havn::control {
namespace {

class MetricsListenersTest : public testing::Test {
  protected:
    io::Task<rpc::Response> metrics(rpc::Request) {
        ++asked_;
        co_return rpc::text("havn_up 1\n", "text/plain");
    }

    std::string free_address() {
        const std::uint16_t port = io::find_free_port(next_port_).value();
        next_port_ = static_cast<std::uint16_t>(port + 1);
        return "127.0.0.1:" + std::to_string(port);
    }

    Result<> listen_on(const std::vector<std::string>& addresses) {
        link::Listeners wanted;
        std::vector<io::Fd> descriptors;
        for (const std::string& address : addresses) {
            wanted.entries.push_back({"metrics", address, link::ListenerKind::tcp});
            descriptors.push_back(io::listen_on(address, {}).value());
        }
        return listeners_.replace(wanted, std::move(descriptors));
    }

    // The answer's text, or what kind of error there was.
    std::string ask(const std::string& address, const std::string& method, const std::string& target) {
        std::string said;
        loop_.spawn(ask_and_stop(address, method, target, said));
        loop_.run();
        loop_.context().restart();
        return said;
    }
    io::Task<void> ask_and_stop(std::string address, std::string method, std::string target,
                                std::string& said) {
        rpc::Client client(address);
        const Result<std::string> answer = co_await client.text(method, target, nullptr, seconds(5));
        said = answer ? *answer : std::string(name(answer.error().kind));
        loop_.stop();
    }

    io::Loop loop_;
    int asked_ = 0;
    std::uint16_t next_port_ = 21'000;
    MetricsListeners listeners_{loop_.executor(),
                                [this](rpc::Request request) { return metrics(std::move(request)); }};
};

TEST_F(MetricsListenersTest, answers_one_path_to_one_method) {
    const std::string address = free_address();
    ASSERT_TRUE(listen_on({address}));
    EXPECT_EQ(ask(address, "GET", "/metrics"), "havn_up 1\n");
    EXPECT_EQ(ask(address, "GET", "/"), "not_found");
    EXPECT_EQ(ask(address, "GET", "/v1/processes"), "not_found");
    EXPECT_EQ(ask(address, "POST", "/v1/down"), "not_found");
    EXPECT_EQ(ask(address, "POST", "/metrics"), "invalid");
    EXPECT_EQ(asked_, 1);
}

TEST_F(MetricsListenersTest, an_address_that_left_the_set_is_closed_and_one_that_stays_goes_on) {
    const std::string first = free_address(), second = free_address();
    ASSERT_TRUE(listen_on({first, second}));
    std::vector<io::Fd> descriptors(1);  // not looked at: the one it has listens on
    ASSERT_TRUE(listeners_.replace({{{"metrics", second, link::ListenerKind::tcp}}}, std::move(descriptors)));
    EXPECT_EQ(ask(first, "GET", "/metrics"), "unavailable");
    EXPECT_EQ(ask(second, "GET", "/metrics"), "havn_up 1\n");
    EXPECT_TRUE(io::listen_on(first, {})) << "its port is free again";
}

TEST_F(MetricsListenersTest, a_set_without_its_sockets_is_refused) {
    EXPECT_FALSE(listeners_.replace({{{"metrics", "127.0.0.1:1", link::ListenerKind::tcp}}}, {}));
}

}  // namespace
}  // namespace havn::control
