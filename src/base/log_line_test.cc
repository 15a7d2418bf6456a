#include "base/log_line.h"

#include <gtest/gtest.h>

#include "base/wall_time.h"

namespace havn {
namespace {

constexpr const char* at = "2026-11-21T14:03:22.123Z";

std::string stamped(std::string_view bytes, std::string_view stream = "stdout") {
    std::string out;
    append_log_lines(out, "T", stream, bytes);
    return out;
}

// "stream:text" of each entry.
std::vector<std::string> read(std::initializer_list<std::string_view> lines) {
    LogAssembler assembler;
    std::vector<LogEntry> entries;
    for (const std::string_view line : lines) assembler.add(line, entries);
    assembler.finish(entries);
    std::vector<std::string> texts;
    for (const LogEntry& entry : entries) texts.push_back(entry.stream + ":" + entry.text);
    return texts;
}

using Texts = std::vector<std::string>;

TEST(LogLine, every_line_is_stamped_and_a_piece_says_that_it_goes_on) {
    EXPECT_EQ(stamped("one\ntwo\n"), "T stdout F one\nT stdout F two\n");
    EXPECT_EQ(stamped("one\ntw", "stderr"), "T stderr F one\nT stderr P tw\n");
    EXPECT_EQ(stamped("\n"), "T stdout F \n");
    EXPECT_EQ(stamped(""), "");
}

TEST(LogLine, pieces_are_joined_per_stream) {
    EXPECT_EQ(read({"2026-11-21T14:03:22.123Z stdout P one ", "2026-11-21T14:03:22.124Z stderr F oops",
                    "2026-11-21T14:03:22.125Z stdout P two", "2026-11-21T14:03:22.126Z stdout F  three"}),
              (Texts{"stderr:oops", "stdout:one two three"}));
}

TEST(LogLine, what_the_supervisor_says_ends_a_begun_line) {
    EXPECT_EQ(
        read({"2026-11-21T14:03:22.123Z stdout P no newline", "2026-11-21T14:03:22.124Z havn F ended: exit 1",
              "2026-11-21T14:03:23.000Z stdout F next life"}),
        (Texts{"stdout:no newline", "havn:ended: exit 1", "stdout:next life"}));
}

TEST(LogLine, a_line_without_stream_stays_as_it_is) {
    EXPECT_EQ(read({"plain", "2026-11-21T14:03:22.123Z gateway warning: x",
                    "2026-11-21T14:03:22.123Z stdout X no tag", "2026-11-21T14:03:22.123Z", ""}),
              (Texts{":plain", ":2026-11-21T14:03:22.123Z gateway warning: x",
                     ":2026-11-21T14:03:22.123Z stdout X no tag", ":2026-11-21T14:03:22.123Z", ":"}));
}

TEST(LogLine, times_of_all_forms_are_read) {
    LogAssembler assembler;
    std::vector<LogEntry> entries;
    assembler.add(std::string(at) + " stdout F x", entries);
    assembler.add(std::string(at) + " broker info: x", entries);
    assembler.add(std::string("{\"time\":\"") + at + "\",\"id\":\"1\"}", entries);
    assembler.add("no time", entries);
    ASSERT_EQ(entries.size(), 4u);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(to_rfc3339(entries[i].time), at) << i;
    EXPECT_EQ(entries[3].time, WallTime{});
}

TEST(LogLine, pieces_without_end_are_handed_out_when_they_are_too_many) {
    LogAssembler assembler;
    std::vector<LogEntry> entries;
    const std::string piece = std::string(at) + " stdout P " + std::string(60'000, 'x');
    for (int i = 0; i < 100; ++i) assembler.add(piece, entries);
    assembler.finish(entries);
    std::size_t bytes = 0;
    for (const LogEntry& entry : entries) {
        EXPECT_LE(entry.text.size(), LogAssembler::text_max + 60'000);
        bytes += entry.text.size();
    }
    EXPECT_EQ(bytes, 6'000'000u);
}

TEST(WallTimeText, goes_both_ways) {
    const WallTime time = parse_rfc3339(at).value();
    EXPECT_EQ(to_rfc3339(time), at);
    EXPECT_EQ(parse_rfc3339("2026-11-21T15:03:22.123+01:00"), time);
    EXPECT_EQ(parse_rfc3339("2026-11-21 14:03:22.123000Z"), time);
    EXPECT_EQ(to_rfc3339(parse_rfc3339("1970-01-01T00:00:00Z").value()), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(to_rfc3339(parse_rfc3339("2024-02-29T23:59:60Z").value()), "2024-03-01T00:00:00.000Z");
}

TEST(WallTimeText, what_is_no_time_is_refused) {
    for (const char* text :
         {"", "2026", "2026-11-21", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-21T24:00:00Z",
          "2026-11-21T14:03:22", "2026-11-21T14:03:22.Z", "2026-11-21T14:03:22+1:00", "-026-11-21T14:03:22Z",
          "2026-11-21T14:03:22Zx", "2026-11-21T14:0322Z"}) {
        EXPECT_FALSE(parse_rfc3339(text).has_value()) << text;
    }
}

}  // namespace
}  // namespace havn
