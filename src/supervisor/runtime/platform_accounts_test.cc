#include "supervisor/runtime/platform_accounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace havn::supervisor {
namespace {

struct PrivateNumbers : testing::Test {
    Json claims = Json::object();
    std::set<std::string> folders{"/a", "/b"};
    std::set<uid_t> used;

    std::map<std::string, uid_t> choose(const std::string& folder, const Json& kept, uid_t begin = 0) {
        return choose_private(
                   {"broker", "gateway"}, folder, kept, claims, begin,
                   [this](uid_t number) { return !used.contains(number); },
                   [this](const std::string& path) { return folders.contains(path); })
            .value();
    }
};

TEST_F(PrivateNumbers, are_kept_and_differ_between_parts_and_platforms) {
    const std::map<std::string, uid_t> first = choose("/a", Json::object());
    EXPECT_EQ(first, (std::map<std::string, uid_t>{{"broker", 61'184}, {"gateway", 61'185}}));
    EXPECT_EQ(choose("/a", Json(first), 7), first);
    const std::map<std::string, uid_t> other = choose("/b", Json::object());
    EXPECT_EQ(other, (std::map<std::string, uid_t>{{"broker", 61'186}, {"gateway", 61'187}}));
}

TEST_F(PrivateNumbers, are_kept_while_its_own_processes_use_them) {
    const std::map<std::string, uid_t> first = choose("/a", Json::object());
    used = {61'184, 61'185};
    EXPECT_EQ(choose("/a", Json(first)), first);
}

TEST_F(PrivateNumbers, of_a_copied_folder_are_new_and_of_a_moved_one_the_same) {
    const std::map<std::string, uid_t> first = choose("/a", Json::object());
    EXPECT_EQ(choose("/b", Json(first)).at("broker"), 61'186u);
    folders = {"/c"};
    EXPECT_EQ(choose("/c", Json(first)), first);
    EXPECT_EQ(claims.size(), 2u) << claims.dump();  // those of folders that are gone are given back
}

TEST_F(PrivateNumbers, that_somebody_has_are_passed_by_and_the_search_wraps) {
    used = {61'184};
    EXPECT_EQ(choose("/a", {{"broker", 61'184}}, 65'519 - 61'184).at("broker"), 65'519u);
    EXPECT_EQ(choose("/a", {{"broker", 0}, {"gateway", 65'534}}).at("gateway"), 61'186u);
}

TEST_F(PrivateNumbers, that_are_all_taken_are_an_error) {
    const Result<std::map<std::string, uid_t>> none = choose_private(
        {"broker"}, "/a", Json::object(), claims, 3, [](uid_t) { return false; },
        [](const std::string&) { return true; });
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().remedy, testing::HasSubstr("adduser --system --group havn-broker"));
}

}  // namespace
}  // namespace havn::supervisor
