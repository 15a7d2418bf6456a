#include "preflight/preflight.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "io/net.h"

namespace havn::preflight {
namespace {

namespace fs = std::filesystem;

class PreflightTest : public testing::Test {
  protected:
    PreflightTest() {
        std::string pattern = testing::TempDir() + "preflight.XXXXXX";
        folder_ = fs::canonical(::mkdtemp(pattern.data()));
        ::chmod(folder_.c_str(), 0755);
        manifest_.gateway.listen.clear();
        manifest_.broker.listen.clear();
    }
    ~PreflightTest() override { fs::remove_all(folder_); }

    manifest::Worker& worker(const std::string& command) {
        manifest_.workers.emplace_back();
        manifest_.workers.back().name = "w";
        manifest_.workers.back().command = command;
        return manifest_.workers.back();
    }

    std::string found() {
        std::string text;
        for (const Error& error : examine(manifest_, {folder_.string(), listening_})) {
            EXPECT_FALSE(error.remedy.empty()) << error.message;
            text += error.message + "\n";
        }
        return text;
    }

    fs::path folder_;
    manifest::Manifest manifest_;
    std::vector<std::string> listening_;
};

TEST_F(PreflightTest, what_is_there_is_no_finding) {
    worker("sleep 1");
    worker("/bin/sleep 1");
    worker("exec sleep $SECONDS");
    worker("cd /tmp && no-such-program");
    worker("A=b no-such-program");
    worker("\"no such\" program");
    EXPECT_EQ(found(), "");
}

TEST_F(PreflightTest, all_findings_come_at_once) {
    worker("sleep 1").directory = "nope";
    worker("sleep 1").user = "no-such-user";
    worker("no-such-program --now");
    worker("no-such-program $PORT");
    worker("./run.sh");
    const std::string text = found();
    EXPECT_EQ(std::ranges::count(text, '\n'), 5) << text;
    EXPECT_NE(text.find(folder_.string() + "/nope: No such file"), std::string::npos) << text;
    EXPECT_NE(text.find("no user 'no-such-user'"), std::string::npos) << text;
    EXPECT_NE(text.find("'no-such-program' is in no folder of the PATH"), std::string::npos) << text;
    EXPECT_NE(text.find("'./run.sh' is not there (seen from " + folder_.string()), std::string::npos) << text;
}

TEST_F(PreflightTest, a_file_is_no_folder_and_not_every_file_a_command) {
    std::ofstream(folder_ / "file") << "x";
    worker("sleep 1").directory = "file";
    worker("./file");
    const std::string text = found();
    EXPECT_NE(text.find("Not a directory"), std::string::npos) << text;
    EXPECT_NE(text.find("'./file' cannot be executed"), std::string::npos) << text;
}

TEST_F(PreflightTest, a_folder_is_looked_at_as_the_user_of_the_program) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can look as another user";
    fs::create_directory(folder_ / "closed");
    ::chmod((folder_ / "closed").c_str(), 0700);
    ::chmod(folder_.c_str(), 0755);
    manifest::Worker& one = worker("sleep 1");
    one.directory = "closed";
    for (const char* user : {"", "nobody", "65534"}) {  // unnamed: a private one, for the folder is root's
        one.user = user;
        EXPECT_NE(found().find("closed: Permission denied"), std::string::npos) << user;
    }
    one.user = "root";
    EXPECT_EQ(found(), "");
    EXPECT_EQ(::geteuid(), 0u);
}

TEST_F(PreflightTest, a_command_is_looked_for_in_the_path_of_its_own_environment) {
    std::ofstream(folder_ / "mine") << "#!/bin/sh\n";
    ::chmod((folder_ / "mine").c_str(), 0755);
    worker("mine").env["PATH"] = folder_.string();
    EXPECT_EQ(found(), "");
    worker("sleep 1").env["PATH"] = folder_.string();
    EXPECT_NE(found().find("'sleep'"), std::string::npos);
}

TEST_F(PreflightTest, addresses_that_are_taken_or_not_ours_are_named) {
    const Result<std::uint16_t> port = io::find_free_port(20000);
    ASSERT_TRUE(port);
    const std::string address = "127.0.0.1:" + std::to_string(*port);
    manifest_.gateway.listen = {address, "192.0.2.77:8080"};
    std::string text = found();
    EXPECT_EQ(text.find(address), std::string::npos) << text;
    EXPECT_NE(text.find("192.0.2.77:8080: no interface of this host has this address"), std::string::npos)
        << text;
    const Result<io::Fd> taken = io::listen_on(address, {});
    ASSERT_TRUE(taken);
    EXPECT_NE(found().find(address + ": another process has it"), std::string::npos);
    manifest_.gateway.listen.clear();
    manifest_.metrics.listen = {address};
    EXPECT_NE(found().find("[metrics] cannot listen on " + address + ": another process has it"),
              std::string::npos);
    listening_ = {address};
    EXPECT_EQ(found().find(address), std::string::npos) << "the platform has it itself";
}

}  // namespace
}  // namespace havn::preflight
