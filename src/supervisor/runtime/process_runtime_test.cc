#include "supervisor/runtime/process_runtime.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <map>

#include "io/fd.h"

namespace havn::supervisor {
namespace {

// A runtime with real processes. Each test runs the loop until what it waits for was told.
struct ProcessRuntimeTest : testing::Test, RuntimeObserver {
    io::Loop loop;
    Accounts accounts;
    io::Fd null{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
    std::map<InstanceId, Started> started;
    std::map<InstanceId, Exit> ended;
    ProcessRuntime runtime{{loop, *this, accounts, [](const std::string&) {}}, -1, "run", 1};

    void life_started(InstanceId instance, const Started& life) override { started[instance] = life; }
    void life_ended(InstanceId instance, const Exit& exit, const std::string&) override {
        ended[instance] = exit;
        loop.stop();
    }
    void exit_known(InstanceId, const Exit&) override {}

    static Instance instance(InstanceId id, Role role, const std::string& command) {
        Program program;
        program.name = "program";
        program.command = command;
        program.directory = "/";
        program.written_by = 0;
        program.user = std::to_string(::geteuid());
        Instance instance;
        instance.id = id;
        instance.name = program.name;
        instance.role = role;
        instance.program = std::make_shared<const Program>(program);
        return instance;
    }
    void start(const Instance& instance) {
        const Result<> begun = runtime.start(instance, {.output = null.get(), .errors = null.get()});
        ASSERT_TRUE(begun.has_value()) << begun.error().message;
    }
    void run_until_one_ended() {
        loop.context().restart();
        loop.run();
    }
};

TEST_F(ProcessRuntimeTest, a_start_gives_a_handle_a_process_and_for_a_service_an_address) {
    start(instance(1, Role::service, "sleep 1000"));
    start(instance(2, Role::service, "sleep 1000"));
    start(instance(3, Role::worker, "sleep 1000"));
    EXPECT_THAT(started[1].handle, testing::StartsWith("run."));
    EXPECT_NE(started[1].handle, started[2].handle);
    EXPECT_THAT(started[1].address, testing::StartsWith("127.0.0.1:"));
    EXPECT_NE(started[1].address, started[2].address);
    EXPECT_EQ(started[3].address, "");
    for (const InstanceId id : {1, 2, 3}) {
        const std::optional<Usage> usage = runtime.usage(id);
        ASSERT_TRUE(usage.has_value());
        EXPECT_EQ(usage->processes, 1u);
        EXPECT_GT(usage->memory_bytes, 0u);
        runtime.kill(id);
    }
    while (ended.size() < 3) run_until_one_ended();
    EXPECT_EQ(ended[1].signal, SIGKILL);
    EXPECT_FALSE(runtime.usage(1).has_value());
}

TEST_F(ProcessRuntimeTest, who_is_told_to_end_ends_in_its_own_way) {
    start(instance(1, Role::worker, "sleep 1000"));
    runtime.terminate(1);
    run_until_one_ended();
    EXPECT_EQ(ended[1].signal, SIGTERM);
    runtime.terminate(1);  // crossed the end: nothing
}

TEST_F(ProcessRuntimeTest, a_life_is_adopted_by_what_was_saved_and_another_one_is_not) {
    Instance saved = instance(1, Role::worker, "sleep 1000");
    start(saved);
    saved.life = started[1];
    ProcessRuntime next({loop, *this, accounts, [](const std::string&) {}}, -1, "run", 2);
    Instance stranger = saved;
    stranger.life.start_time += 1;  // the pid is the same, the process another
    EXPECT_FALSE(next.adopt(stranger));
    EXPECT_TRUE(next.adopt(saved));
    next.end_unknown({saved.life.handle});
    EXPECT_EQ(::kill(saved.life.pid, 0), 0);
    next.kill(1);
    run_until_one_ended();
    EXPECT_TRUE(ended.contains(1));
}

}  // namespace
}  // namespace havn::supervisor
