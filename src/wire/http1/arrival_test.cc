#include "wire/http1/arrival.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wire/http1/head.h"

namespace havn::http1 {
namespace {

struct Work {
    std::size_t parsed_bytes = 0;
    std::size_t read_at = 0;  // how many bytes had come when the parser was done
    Parsed result;
};

// Lets `text` arrive in pieces of `step` bytes.
Work arrive(const std::string& text, std::size_t step = 1) {
    HeadArrival arrival;
    std::vector<Header> storage(10'000);
    Work work;
    for (std::size_t size = step; work.result.progress == Progress::need_more; size += step) {
        size = std::min(size, text.size());
        const std::string_view input(text.data(), size);
        if (arrival.worth_parsing(input)) {
            RequestHead head;
            work.result = parse_request_head(input, storage, head);
            work.parsed_bytes += size;
            work.read_at = size;
        }
        if (size == text.size()) break;
    }
    return work;
}

TEST(HeadArrival, byte_by_byte_costs_a_few_times_the_size_whatever_the_lines) {
    const std::string start = "GET / HTTP/1.1\r\nHost: h\r\n", long_line = "A: " + std::string(16'000, 'x');
    std::string many_lines = start, empty_lines;
    for (int i = 0; i < 4'000; ++i) many_lines += "a:\r\n";
    for (int i = 0; i < 8'000; ++i) empty_lines += "\r\n";
    for (const std::string& text :
         {start + long_line + "\r\n\r\n", many_lines + "\r\n", empty_lines + start + "\r\n"}) {
        for (const std::size_t step : {1u, 2u, 3u, 7u, 1000u}) {
            const Work work = arrive(text, step);
            EXPECT_EQ(work.result.progress, Progress::complete) << step;
            EXPECT_EQ(work.result.bytes, text.size()) << step;
            EXPECT_LE(work.parsed_bytes, 4 * text.size()) << step;
        }
    }
}

TEST(HeadArrival, looks_at_no_byte_twice) {
    HeadArrival arrival;
    std::string text = "GET / HTTP/1.1\r\n" + std::string(100, 'x');
    EXPECT_TRUE(arrival.worth_parsing(text));
    text.replace(0, 100, std::string(98, 'x') + "\n\n");  // seen as ended if it were looked at again
    EXPECT_FALSE(arrival.worth_parsing(text + "y"));
    EXPECT_FALSE(arrival.worth_parsing(text + "yz"));
}

TEST(HeadArrival, what_is_complete_or_holds_a_bare_line_feed_is_told_at_once) {
    for (const std::string text :
         {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n", "\n",
          "GET / HTTP/1.1\r\nHost: h\n", "GET / HTTP/1.1\r\nHost: h\r\n\n"}) {
        const Work work = arrive(text);
        EXPECT_NE(work.result.progress, Progress::need_more) << testing::PrintToString(text);
        EXPECT_EQ(work.read_at, text.size()) << testing::PrintToString(text);
    }
}

TEST(HeadArrival, other_mistakes_are_seen_when_as_much_again_has_come) {
    const Work work = arrive("GET / HTTP/1.1\r\nHost : h\r\nA: " + std::string(200, 'x'));
    EXPECT_EQ(work.result.progress, Progress::malformed);
    EXPECT_LE(work.read_at, 2 * std::string_view("GET / HTTP/1.1\r\nHost : h").size());
}

TEST(HeadArrival, of_a_response_takes_bare_line_feeds) {
    HeadArrival arrival(HeadArrival::Of::response);
    const std::string text = "HTTP/1.1 200 OK\nContent-Length: 0\n\n";
    EXPECT_TRUE(arrival.worth_parsing(text.substr(0, 14)));
    EXPECT_FALSE(arrival.worth_parsing(text.substr(0, 16)));
    EXPECT_FALSE(arrival.worth_parsing(text.substr(0, 17)));
    EXPECT_TRUE(arrival.worth_parsing(text));
    arrival.reset();
    EXPECT_TRUE(arrival.worth_parsing("H"));
    EXPECT_TRUE(arrival.worth_parsing("HTTP/1.1 200 OK\r\n\r\n"));
}

}  // namespace
}  // namespace havn::http1
