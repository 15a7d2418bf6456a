#include <gtest/gtest.h>

#include "control/core/api_requests.h"
#include "control/core/submission.h"
#include "rpc/message.h"

namespace havn::control {
namespace {

TEST(ApiRequests, what_is_no_utf8_is_refused_and_the_refusal_can_be_sent) {
    const Result<LogsRequest> logs = read_logs({{"lines", "\xff"}});
    ASSERT_FALSE(logs);
    EXPECT_TRUE(Json::accept(rpc::error(logs.error()).body));
    const Result<SubmitRequest> wanted = read_submission({{"directory", "\xff"}});
    ASSERT_FALSE(wanted);
    EXPECT_TRUE(Json::accept(rpc::error(wanted.error()).body));
}

}  // namespace
}  // namespace havn::control
