#include "control/log_tail.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace havn::control {
namespace {

using Lines = std::vector<std::string>;

class LogTailTest : public testing::Test {
  protected:
    LogTailTest() {
        std::string pattern = testing::TempDir() + "log_tail.XXXXXX";
        folder_ = ::mkdtemp(pattern.data());
    }
    ~LogTailTest() override { std::filesystem::remove_all(folder_); }

    std::string path(const std::string& name) { return folder_ + "/" + name; }
    void append(const std::string& name, const std::string& text) {
        std::ofstream(path(name), std::ios::app) << text;
    }

    std::string folder_;
};

TEST_F(LogTailTest, gives_the_last_lines_and_then_what_is_added) {
    append("a.log", "one\ntwo\nthree\n");
    LogTail tail(path("a.log"));
    EXPECT_EQ(tail.last(2), (Lines{"two", "three"}));
    EXPECT_EQ(tail.poll(), Lines{});
    append("a.log", "four\n");
    EXPECT_EQ(tail.poll(), Lines{"four"});
}

TEST_F(LogTailTest, holds_an_unfinished_line_back) {
    append("a.log", "one\nhal");
    LogTail tail(path("a.log"));
    EXPECT_EQ(tail.last(5), Lines{"one"});
    EXPECT_EQ(tail.poll(), Lines{});
    append("a.log", "f\n");
    EXPECT_EQ(tail.poll(), Lines{"half"});
}

TEST_F(LogTailTest, follows_a_rotation_without_losing_a_line) {
    append("a.log", "one\n");
    LogTail tail(path("a.log"));
    EXPECT_EQ(tail.last(5), Lines{"one"});
    append("a.log", "two\n");
    std::filesystem::rename(path("a.log"), path("a.log.1"));
    append("a.log", "three\n");
    EXPECT_EQ(tail.poll(), Lines{"two"});
    EXPECT_EQ(tail.poll(), Lines{"three"});
}

TEST_F(LogTailTest, reaches_back_into_the_file_set_aside) {
    append("a.log.1", "one\ntwo\n");
    append("a.log", "three\n");
    EXPECT_EQ(LogTail(path("a.log")).last(2), (Lines{"two", "three"}));
}

TEST_F(LogTailTest, waits_for_a_file_that_is_not_there_yet) {
    LogTail tail(path("a.log"));
    EXPECT_EQ(tail.last(5), Lines{});
    append("a.log", "one\n");
    EXPECT_EQ(tail.poll(), Lines{"one"});
}

TEST_F(LogTailTest, reads_back_over_more_than_a_block) {
    const std::string line(1000, 'x');
    for (int i = 0; i < 200; ++i) append("a.log", line + "\n");
    EXPECT_EQ(LogTail(path("a.log")).last(150), Lines(150, line));
}

TEST_F(LogTailTest, a_name_without_instance_is_the_platforms_and_left_out_unless_asked_for) {
    for (const char* name :
         {"web.2.log", "web.1.log", "web.1.log.1", "gateway.log", "cart.1.log", "notes.txt"}) {
        append(name, "x\n");
    }
    const std::vector<LogSource> all = find_logs(folder_, "", 0);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].name, "cart");
    EXPECT_EQ(all[1].instance, 1u);
    EXPECT_EQ(all[2].instance, 2u);
    EXPECT_EQ(find_logs(folder_, "gateway", 0).size(), 1u);
    EXPECT_EQ(find_logs(folder_, "web", 2).size(), 1u);
}

}  // namespace
}  // namespace havn::control
