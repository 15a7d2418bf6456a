#include "supervisor/runtime/port_owner.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "io/net.h"

namespace havn::supervisor {
namespace {

TEST(PortOwner, is_the_user_who_listens_and_the_process_that_has_the_socket) {
    const std::uint16_t port = io::find_free_port(23'000).value();
    EXPECT_FALSE(listener_on(port));
    const io::Fd socket = io::listen_on("127.0.0.1:" + std::to_string(port), {}).value();
    const std::optional<PortOwner> owner = listener_on(port);
    if (!owner) GTEST_SKIP() << "this kernel has no sock_diag";
    EXPECT_EQ(owner->uid, ::geteuid());
    EXPECT_TRUE(has_socket({::getpid()}, owner->inode));
    EXPECT_FALSE(has_socket({::getpid()}, owner->inode + 1'000'000));
    EXPECT_FALSE(has_socket({}, owner->inode));
}

TEST(PortOwner, is_found_where_it_listens_on_all_addresses) {
    const std::uint16_t port = io::find_free_port(24'000).value();
    const io::Fd socket = io::listen_on("0.0.0.0:" + std::to_string(port), {}).value();
    if (!listener_on(port)) GTEST_SKIP() << "this kernel has no sock_diag";
    EXPECT_EQ(listener_on(port)->uid, ::geteuid());
}

TEST(PortOwner, a_process_is_found_to_listen_on_another_port) {
    const std::uint16_t port = io::find_free_port(25'000).value();
    for (const std::string host : {"127.0.0.1", "[::1]"}) {
        EXPECT_FALSE(listens_on({::getpid()}));
        const Result<io::Fd> socket = io::listen_on(fmt::format("{}:{}", host, port), {});
        if (!socket) GTEST_SKIP() << socket.error().text();
        if (!listener_on(port) && host != "[::1]") GTEST_SKIP() << "this kernel has no sock_diag";
        EXPECT_EQ(listens_on({::getpid()}), fmt::format("{}:{}", host, port));
        EXPECT_FALSE(listens_on({::getppid()}) == fmt::format("{}:{}", host, port));
        EXPECT_FALSE(listens_on({}));
    }
}

}  // namespace
}  // namespace havn::supervisor
