#include "supervisor/logs/log_marks.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "supervisor/logs/log_descriptors.h"

namespace havn::supervisor {
namespace {

struct LogMarksTest : testing::Test {
    io::Fd pipe = make_log_pipe().value();
    io::Fd end = open_write_end(pipe.get()).value();
    LogMarks marks{{pipe.get()}};

    void print(std::string_view text) {
        ASSERT_EQ(::write(end.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    // What a reader gets: data, and marks in brackets, until neither is there.
    std::string read_on() {
        std::string all;
        for (;;) {
            char buffer[64];
            const std::ptrdiff_t size = marks.read(0, buffer, sizeof buffer);
            if (size > 0) all.append(buffer, static_cast<std::size_t>(size));
            const std::optional<std::string> mark = marks.take_reached();
            if (mark) all += "[" + *mark + "]";
            if (size <= 0 && !mark) return all;
        }
    }
};

TEST_F(LogMarksTest, a_mark_stands_between_what_was_printed_before_and_after) {
    print("one\n");
    marks.note("ended");
    const LogMarks::Ticket start = marks.note(std::nullopt);
    print("two\n");
    EXPECT_EQ(read_on(), "one\n[ended]") << "what comes after a mark without a text waits for it";
    marks.set_text(start, "started");
    EXPECT_EQ(read_on(), "[started]two\n");
}

TEST_F(LogMarksTest, what_was_read_already_counts) {
    print("one\n");
    EXPECT_EQ(read_on(), "one\n");
    print("two\n");
    marks.note("here");
    print("three\n");
    EXPECT_EQ(read_on(), "two\n[here]three\n");
}

TEST_F(LogMarksTest, there_is_an_end_to_how_many_wait) {
    for (std::size_t i = 0; i < LogMarks::pending_max; ++i) EXPECT_NE(marks.note("m"), 0u);
    EXPECT_EQ(marks.note("one too many"), 0u);
    read_on();
    EXPECT_NE(marks.note("m"), 0u);
}

TEST_F(LogMarksTest, a_start_that_never_came_holds_nothing_up) {
    marks.note(std::nullopt);
    print("on\n");
    EXPECT_EQ(read_on(), "");
    marks.settle_all();
    EXPECT_EQ(read_on(), "[]on\n");
}

}  // namespace
}  // namespace havn::supervisor
