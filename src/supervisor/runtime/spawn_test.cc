#include "supervisor/runtime/process_view.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "supervisor/runtime/account.h"
#include "supervisor/runtime/spawn.h"

namespace havn::supervisor {
namespace {

struct SpawnTest : testing::Test {
    SpawnRequest request;
    io::Fd output, other_end;

    void SetUp() override {
        int ends[2];
        ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        other_end = io::Fd(ends[0]);
        output = io::Fd(ends[1]);
        request.output = output.get();
        request.directory = "/";
        request.environment = {"PATH=/usr/bin:/bin", "HAVN_RUN=test-cookie"};
        request.account = numbered_account(::geteuid(), ::getegid());
    }
    std::string read_to_end() {
        output.reset();
        std::string text;
        char buffer[1024];
        for (ssize_t size; (size = ::read(other_end.get(), buffer, sizeof buffer)) > 0;) {
            text.append(buffer, static_cast<std::size_t>(size));
        }
        return text;
    }
    // Starts it, waits for its end, and returns why it could not begin, if so.
    std::optional<Error> failure() {
        Result<Spawned> spawned = spawn(request);
        EXPECT_TRUE(spawned.has_value());
        ::waitpid(spawned->pid, nullptr, 0);
        return spawn_failure(spawned->status.get(), request);
    }
};

TEST_F(SpawnTest, runs_a_program_found_in_the_childs_path_with_its_output_in_the_pipe) {
    request.arguments = {"sh", "-c", "echo out; echo err >&2; pwd"};
    EXPECT_FALSE(failure().has_value());
    EXPECT_EQ(read_to_end(), "out\nerr\n/\n");
}

TEST_F(SpawnTest, a_missing_program_is_named_with_where_it_was_searched) {
    request.arguments = {"no-such-program"};
    const std::optional<Error> error = failure();
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->message, "command 'no-such-program' not found in PATH=/usr/bin:/bin");
    EXPECT_EQ(error->kind, Error::Kind::not_found);
}

TEST_F(SpawnTest, a_file_that_is_no_program_is_named) {
    request.arguments = {"/etc/passwd"};
    const std::optional<Error> error = failure();
    ASSERT_TRUE(error.has_value());
    EXPECT_THAT(error->message, testing::HasSubstr("cannot execute '/etc/passwd': Permission denied"));
}

TEST_F(SpawnTest, a_missing_folder_is_named) {
    request.arguments = {"true"};
    request.directory = "/no/such/folder";
    const std::optional<Error> error = failure();
    ASSERT_TRUE(error.has_value());
    EXPECT_THAT(error->message, testing::HasSubstr("/no/such/folder"));
}

TEST_F(SpawnTest, the_link_is_descriptor_3_and_nothing_else_is_inherited) {
    const io::Fd leaking(::open("/dev/null", O_RDONLY));  // not close-on-exec
    request.link = other_end.get();
    request.arguments = {"sh", "-c", "for f in /proc/$$/fd/*; do echo ${f##*/}; done"};
    EXPECT_FALSE(failure().has_value());
    EXPECT_EQ(read_to_end(), "0\n1\n2\n3\n4\n");  // 4 is the folder the shell is listing
    EXPECT_GT(leaking.get(), 4);
}

TEST_F(SpawnTest, its_tree_holds_children_that_left_the_session) {
    request.arguments = {"sh", "-c", "setsid sleep 1000 & sleep 1000 & echo up; wait"};
    Result<Spawned> spawned = spawn(request);
    ASSERT_TRUE(spawned.has_value());
    char byte = 0;
    ASSERT_EQ(::read(other_end.get(), &byte, 1), 1);
    std::vector<int> tree;
    while (tree.size() < 3) tree = ProcessView::take({}).tree(spawned->pid, "test-cookie");
    EXPECT_THAT(tree, testing::Contains(spawned->pid));
    EXPECT_EQ(read_process(spawned->pid)->session, spawned->pid);
    EXPECT_EQ(start_time_of(spawned->pid), spawned->start_time);
    ::kill(spawned->pid, SIGKILL);
    ::waitpid(spawned->pid, nullptr, 0);
    std::vector<int> left;  // orphans now; the one that left the session is known by its cookie
    while (!(left = ProcessView::take({}).tree(0, "test-cookie")).empty()) kill_all(left);
}

TEST_F(SpawnTest, one_view_of_all_processes_serves_many_trees) {
    request.arguments = {"sleep", "1000"};
    std::vector<Spawned> spawned;
    for (int i = 0; i < 20; ++i) spawned.push_back(spawn(request).value());
    const ProcessView view = ProcessView::take({});
    for (const Spawned& one : spawned) EXPECT_THAT(view.tree(one.pid, ""), testing::ElementsAre(one.pid));
    for (const Spawned& one : spawned) {
        ::kill(one.pid, SIGKILL);
        ::waitpid(one.pid, nullptr, 0);
    }
}

TEST_F(SpawnTest, a_program_gets_the_descriptor_limit_it_is_given) {
    request.arguments = {"sh", "-c", "ulimit -Sn; ulimit -Hn"};
    request.files_soft = 200;
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_FALSE(failure().has_value());
    const std::string hard = limit.rlim_max == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_max);
    EXPECT_EQ(read_to_end(), "200\n" + hard + "\n");
}

TEST(ProcessTree, a_process_that_is_not_there_has_no_facts) {
    EXPECT_FALSE(read_process(0).has_value());
}

TEST(ProcessTree, no_run_means_no_process) {
    EXPECT_TRUE(find_run("").empty());
}

}  // namespace
}  // namespace havn::supervisor
