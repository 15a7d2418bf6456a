#include "logs/log_tail.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/wall_time.h"
#include "logs/log_follower.h"

namespace havn::logs {
namespace {

using Lines = std::vector<std::string>;

Lines texts(const std::vector<LogEntry>& entries) {
    Lines lines;
    for (const LogEntry& entry : entries) lines.push_back(entry.text);
    return lines;
}

Lines last(LogTail& tail, std::size_t count) {
    return texts(tail.last(LogQuery{.lines = count}));
}
Lines last(LogTail&& tail, std::size_t count) {
    return last(tail, count);
}

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
    EXPECT_EQ(last(tail, 2), (Lines{"two", "three"}));
    EXPECT_EQ(texts(tail.poll()), Lines{});
    append("a.log", "four\n");
    EXPECT_EQ(texts(tail.poll()), Lines{"four"});
}

TEST_F(LogTailTest, holds_an_unfinished_line_back) {
    append("a.log", "one\nhal");
    LogTail tail(path("a.log"));
    EXPECT_EQ(last(tail, 5), Lines{"one"});
    EXPECT_EQ(texts(tail.poll()), Lines{});
    append("a.log", "f\n");
    EXPECT_EQ(texts(tail.poll()), Lines{"half"});
}

TEST_F(LogTailTest, follows_a_rotation_without_losing_a_line) {
    append("a.log", "one\n");
    LogTail tail(path("a.log"));
    EXPECT_EQ(last(tail, 5), Lines{"one"});
    append("a.log", "two\n");
    std::filesystem::rename(path("a.log"), path("a.log.1"));
    append("a.log", "three\n");
    EXPECT_EQ(texts(tail.poll()), Lines{"two"});
    EXPECT_EQ(texts(tail.poll()), Lines{"three"});
}

TEST_F(LogTailTest, reaches_back_into_the_file_set_aside) {
    append("a.log.1", "one\ntwo\n");
    append("a.log", "three\n");
    EXPECT_EQ(last(LogTail(path("a.log")), 2), (Lines{"two", "three"}));
}

TEST_F(LogTailTest, waits_for_a_file_that_is_not_there_yet) {
    LogTail tail(path("a.log"));
    EXPECT_EQ(last(tail, 5), Lines{});
    append("a.log", "one\n");
    EXPECT_EQ(texts(tail.poll()), Lines{"one"});
}

TEST_F(LogTailTest, reads_back_over_more_than_a_block) {
    const std::string line(1000, 'x');
    for (int i = 0; i < 200; ++i) append("a.log", line + "\n");
    EXPECT_EQ(last(LogTail(path("a.log")), 150), Lines(150, line));
}

std::string at(int second, const std::string& text, const char* stream = "stdout") {
    return fmt::format("2026-11-21T14:00:{:02}.000Z {} F {}\n", second, stream, text);
}

TEST_F(LogTailTest, reads_all_that_was_set_aside) {
    append("a.log.3", "one\n\n");
    append("a.log.2", "two\nthree");
    append("a.log.1", "four\n");
    append("a.log", "five\n");
    EXPECT_EQ(last(LogTail(path("a.log")), 100), (Lines{"one", "", "two", "three", "four", "five"}));
    EXPECT_EQ(last(LogTail(path("a.log")), 4), (Lines{"two", "three", "four", "five"}));
}

TEST_F(LogTailTest, takes_what_was_printed_in_a_span_of_time) {
    append("a.log.1", at(1, "one") + at(2, "two"));
    append("a.log", at(3, "three") + at(4, "four") + at(5, "five"));
    LogQuery query{.lines = 100,
                   .since = parse_rfc3339("2026-11-21T14:00:02Z"),
                   .until = parse_rfc3339("2026-11-21T14:00:04Z")};
    EXPECT_EQ(texts(LogTail(path("a.log")).last(query)), (Lines{"two", "three", "four"}));
    query.lines = 1;
    EXPECT_EQ(texts(LogTail(path("a.log")).last(query)), Lines{"four"});
}

TEST_F(LogTailTest, reads_on_until_enough_lines_match) {
    append("a.log.1", at(1, "error one") + at(2, "fine"));
    append("a.log", at(3, "fine") + at(4, "error two") + at(5, "fine"));
    const LogQuery query{.lines = 2, .since = {}, .until = {}, .matches = [](std::string_view text) {
                             return text.starts_with("error");
                         }};
    EXPECT_EQ(texts(LogTail(path("a.log")).last(query)), (Lines{"error one", "error two"}));
}

TEST_F(LogTailTest, a_line_in_pieces_is_one_also_between_two_reads) {
    append("a.log", "2026-11-21T14:00:01.000Z stdout P hel\n2026-11-21T14:00:01.000Z stderr F oops\n");
    LogTail tail(path("a.log"));
    EXPECT_EQ(last(tail, 9), Lines{"oops"});
    append("a.log", "2026-11-21T14:00:02.000Z stdout F lo\n");
    const std::vector<LogEntry> more = tail.poll();
    ASSERT_EQ(more.size(), 1u);
    EXPECT_EQ(more[0].text, "hello");
    EXPECT_EQ(more[0].stream, "stdout");
}

TEST_F(LogTailTest, the_logs_of_instances_are_merged_by_time) {
    append("web.1.log", at(1, "a") + at(4, "d"));
    append("web.2.log", at(2, "b") + "a traceback's second line\n" + at(3, "c"));
    LogFollower follower(folder_, "web", 0);
    Lines lines;
    for (const LogLine& line : follower.last(10)) {
        lines.push_back(fmt::format("{} {}", line.instance, line.entry.text));
    }
    EXPECT_EQ(lines, (Lines{"1 a", "2 b", "2 a traceback's second line", "2 c", "1 d"}));
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

TEST_F(LogTailTest, an_application_with_a_key_has_a_folder_of_its_own) {
    std::filesystem::create_directory(folder_ + "/shop");
    std::filesystem::create_directory(folder_ + "/gateway");
    for (const char* name : {"web.1.log", "shop/web.1.log", "shop/web.2.log", "gateway/access.log"}) {
        append(name, "x\n");
    }
    EXPECT_EQ(find_logs(folder_, "", 0).size(), 3u);
    EXPECT_EQ(find_logs(folder_, "web", 0).size(), 1u);
    EXPECT_EQ(find_logs(folder_, "shop/web", 0).size(), 2u);
    EXPECT_EQ(find_logs(folder_, "access", 0).size(), 1u);
}

}  // namespace
}  // namespace havn::logs
