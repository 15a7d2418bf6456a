#include "gateway/core/policy/path.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>

namespace havn::gateway {
namespace {

TEST(Path, spellings_of_one_path_have_one_normal_form) {
    const std::vector<std::pair<std::string, std::string>> table{
        {"/", "/"},
        {"//", "/"},
        {"", "/"},
        {"/admin", "/admin"},
        {"//admin", "/admin"},
        {"///admin//x//", "/admin/x/"},
        {"/./admin", "/admin"},
        {"/admin/.", "/admin/"},
        {"/x/../admin", "/admin"},
        {"/x/..", "/"},
        {"/../../admin", "/admin"},
        {"/x//../admin", "/admin"},
        {"/%61dmin", "/admin"},
        {"/%2e/admin", "/admin"},
        {"/x/%2E%2e/admin", "/admin"},
        {"/x/.%2e/admin", "/admin"},
        {"/a%21b%20c", "/a!b c"},
        {"/caf%C3%A9", "/caf\xc3\xa9"},
        {"/%2fadmin", "/%2Fadmin"},
        {"/a%3bb%3fc%23d", "/a%3Bb%3Fc%23d"},
        {"/%2561dmin", "/%2561dmin"},
        {"/a%5Cb", "/a\\b"},
        {"/a;b", "/a;b"},
        {"/...", "/..."},
        {"/..a/.b", "/..a/.b"},
    };
    for (const auto& [path, normal] : table) EXPECT_EQ(normal_path(path).value_or("none"), normal) << path;
}

TEST(Path, an_escape_that_is_none_or_stands_for_nul_is_refused) {
    for (const std::string path : {"/%", "/%4", "/a%zz", "/%4g", "/%-1", "/100%/x", "/%%41"}) {
        EXPECT_FALSE(normal_path(path).has_value()) << path;
    }
    EXPECT_EQ(normal_path("/a%00").error(), "the path holds an escaped NUL");
}

TEST(Path, a_plain_one_is_told_without_being_rewritten) {
    for (const std::string plain : {"/", "/a", "/a/", "/a/b.c/.well-known/x", "/...", "/..a", "/a..b/..."}) {
        EXPECT_TRUE(is_plain_path(plain)) << plain;
    }
    for (const std::string other :
         {"", "*", "//", "/a//b", "/.", "/..", "/a/./b", "/a/..", "/%61", "/a;b", "/a\\b"}) {
        EXPECT_FALSE(is_plain_path(other)) << other;
    }
}

TEST(Path, other_readings_are_those_of_known_readers) {
    const auto reads = [](std::string_view path, std::string_view as) {
        const std::vector<std::string> readings = other_readings(path);
        return std::ranges::find(readings, as) != readings.end();
    };
    EXPECT_TRUE(reads("/%2fadmin", "/admin"));
    EXPECT_TRUE(reads("/admin%2F", "/admin/"));
    EXPECT_TRUE(reads("/admin\\x", "/admin/x"));
    EXPECT_TRUE(reads("/admin%5cx", "/admin/x"));
    EXPECT_TRUE(reads("/admin;x", "/admin"));
    EXPECT_TRUE(reads("/admin%3Bx=1/y", "/admin/y"));
    EXPECT_TRUE(reads("/admin%3fx", "/admin"));
    EXPECT_TRUE(reads("/x/..;/admin", "/admin"));
    EXPECT_TRUE(reads("/x%2f..%2fadmin", "/admin"));
    EXPECT_TRUE(reads("/admin/../x", "/admin/../x"));
    EXPECT_TRUE(reads("/admin//../x", "/admin/x"));
    EXPECT_TRUE(other_readings("//a/%61/./b").empty());
    EXPECT_LE(other_readings("/a/..;x%2f%3f").size(), 11u);
}

// Paths of what matters here, at random but the same in every run.
std::string some_path(std::minstd_rand& random) {
    static constexpr std::string_view pieces[] = {
        "/",   "/",   "//",  ".",   "..",  "a",   "admin", "%2f",  "%2F", "%5c", "\\",  ";",  "%3b",
        "%2e", "%61", "%41", "%25", "%3F", "%23", "%C3",   "\xa9", " ",   "%0a", "/..", "/.", "%2561"};
    std::string path = "/";
    for (auto left = random() % 8; left > 0; --left) path += pieces[random() % std::size(pieces)];
    return path;
}

TEST(Path, the_normal_form_of_a_normal_form_is_itself) {
    std::minstd_rand random(1);
    for (int i = 0; i < 50'000; ++i) {
        const std::string path = some_path(random);
        const auto normal = normal_path(path);
        ASSERT_TRUE(normal) << path;
        ASSERT_EQ(normal_path(*normal).value(), *normal) << path;
        ASSERT_TRUE(normal->starts_with('/') && !normal->contains("//")) << path;
        if (is_plain_path(path)) {
            ASSERT_EQ(*normal, path);
            ASSERT_TRUE(other_readings(path).empty() || path.contains("..")) << path;
        }
    }
}

}  // namespace
}  // namespace havn::gateway
