#include "control/core/api_requests.h"

#include <gtest/gtest.h>

#include "control/core/submission.h"

namespace havn::control {
namespace {

TEST(ApiRequests, a_restart_names_a_program_and_perhaps_an_instance) {
    EXPECT_EQ(read_restart({{"name", "web"}})->instance, 0u);
    EXPECT_EQ(read_restart({{"name", "web"}, {"instance", nullptr}})->instance, 0u);
    EXPECT_EQ(read_restart({{"name", "web"}, {"instance", 7u}})->instance, 7u);
    for (const Json& bad : {Json(), Json::array(), Json{{"name", 3}}, Json{{"name", ""}},
                            Json{{"name", std::string(300, 'x')}}, Json{{"name", "web"}, {"instance", 0u}},
                            Json{{"name", "web"}, {"instance", -1}}, Json{{"name", "web"}, {"instance", 1.5}},
                            Json{{"name", "web"}, {"instance", 18446744073709551615u}},
                            Json{{"name", "web"}, {"instance", "2"}}}) {
        EXPECT_FALSE(read_restart(bad)) << bad.dump();
    }
}

TEST(ApiRequests, a_query_for_logs_is_bounded) {
    EXPECT_EQ(read_logs({})->lines, 100u);
    const Result<LogsRequest> all =
        read_logs({{"name", "web"}, {"instance", "2"}, {"lines", "5"}, {"follow", "1"}});
    ASSERT_TRUE(all);
    EXPECT_EQ(all->name, "web");
    EXPECT_EQ(all->instance, 2u);
    EXPECT_EQ(all->lines, 5u);
    EXPECT_TRUE(all->follow);
    EXPECT_FALSE(read_logs({{"follow", "false"}})->follow);
    for (const char* number : {"-1", "x", "5x", "99999999999999999999", "10000001"}) {
        EXPECT_FALSE(read_logs({{"lines", number}})) << number;
    }
}

TEST(ApiRequests, a_manifest_longer_than_any_is_refused) {
    const Json body{
        {"toml", {{"file", "havn.toml"}, {"text", std::string(manifest::source_bytes_max + 1, '#')}}},
        {"directory", "/"}};
    const Result<SubmitRequest> asked = read_submission(body);
    ASSERT_FALSE(asked);
    EXPECT_NE(asked.error().message.find("too long"), std::string::npos);
}

}  // namespace
}  // namespace havn::control
