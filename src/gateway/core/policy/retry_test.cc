#include "gateway/core/policy/retry.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace havn::gateway {
namespace {

TEST(Retry, only_what_does_no_harm_twice) {
    EXPECT_TRUE(is_repeatable({}));
    EXPECT_TRUE(is_repeatable({.bytes_sent = true, .idempotent = true, .body_replayable = true}));
    EXPECT_FALSE(is_repeatable({.bytes_sent = true, .idempotent = false, .body_replayable = true}));
    EXPECT_FALSE(is_repeatable({.bytes_sent = true, .idempotent = true, .body_replayable = false}));
    EXPECT_FALSE(is_repeatable({.response_started = true, .idempotent = true, .body_replayable = true}));
    EXPECT_FALSE(is_repeatable({.client_served = true}));
}

TEST(Retry, what_each_failure_leads_to) {
    struct Case {
        std::string what;
        Attempt attempt;
        Verdict verdict;
    };
    const Attempt get{.bytes_sent = true, .idempotent = true, .body_replayable = true};
    const Attempt post{.bytes_sent = true, .body_replayable = true};
    const auto with = [](Attempt attempt, auto change) {
        change(attempt);
        return attempt;
    };
    const std::vector<Case> table{
        {"nobody there", {.failure = Failure::connect}, {Next::other_endpoint, true}},
        {"nobody there, after an interim response of another",
         {.failure = Failure::connect, .client_served = true},
         {Next::give_up, true}},
        {"no endpoint", {.failure = Failure::unavailable}, {Next::give_up, false}},
        {"closed, nothing sent", {.failure = Failure::closed}, {Next::other_endpoint, true}},
        {"closed, a GET",
         with(get, [](Attempt& a) { a.failure = Failure::closed; }),
         {Next::other_endpoint, true}},
        {"closed, a POST",
         with(post, [](Attempt& a) { a.failure = Failure::closed; }),
         {Next::give_up, true}},
        {"closed, a PUT whose body is gone",
         {.failure = Failure::closed, .bytes_sent = true, .idempotent = true},
         {Next::give_up, true}},
        {"a kept connection had ended, a GET",
         with(get, [](Attempt& a) { a.failure = Failure::closed, a.reused = true; }),
         {Next::same_endpoint, false}},
        {"a kept connection had ended, a POST",
         with(post, [](Attempt& a) { a.failure = Failure::closed, a.reused = true; }),
         {Next::give_up, false}},
        {"closed in its answer",
         with(get, [](Attempt& a) { a.failure = Failure::closed, a.reused = a.response_started = true; }),
         {Next::give_up, true}},
        {"closed after an interim response",
         with(get, [](Attempt& a) { a.failure = Failure::closed, a.client_served = true; }),
         {Next::give_up, true}},
        {"late", with(get, [](Attempt& a) { a.failure = Failure::timeout; }), {Next::give_up, true}},
        {"late, nothing sent", {.failure = Failure::timeout}, {Next::give_up, true}},
        {"no end of interim responses",
         with(get, [](Attempt& a) { a.failure = Failure::interim; }),
         {Next::give_up, true}},
        {"no HTTP", with(get, [](Attempt& a) { a.failure = Failure::malformed; }), {Next::give_up, true}},
    };
    for (const Case& row : table) EXPECT_EQ(judge(row.attempt), row.verdict) << row.what;
}

}  // namespace
}  // namespace havn::gateway
