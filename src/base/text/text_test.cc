#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/text/ascii.h"
#include "base/text/dependency_cycles.h"
#include "base/text/edit_distance.h"
#include "base/text/path.h"
#include "base/text/program_name.h"

namespace havn {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Ascii, leaves_bytes_beyond_ascii_alone) {
    EXPECT_EQ(ascii_lower("AZ[`{\xc3\x84"), "az[`{\xc3\x84");
    EXPECT_EQ(ascii_upper("az[`{\xc3\xa4"), "AZ[`{\xc3\xa4");
    EXPECT_FALSE(is_ascii_alphanumeric('\xe9'));
}

TEST(ProgramName, is_a_name_of_a_file_and_of_no_part) {
    for (const char* good : {"web", "0", "a-b_c", "store-front"}) EXPECT_TRUE(is_program_name(good)) << good;
    for (const char* bad : {"", "-a", "_a", "Web", "a.b", "a/b", "a b", "\xc3\xa9"}) {
        EXPECT_FALSE(is_program_name(bad)) << bad;
    }
    EXPECT_TRUE(is_program_name(std::string(63, 'a')));
    EXPECT_FALSE(is_program_name(std::string(64, 'a')));
    EXPECT_TRUE(is_part_name("keeper"));
    EXPECT_FALSE(is_part_name("web"));
}

TEST(EditDistance, distance_counts_single_edits_and_swaps) {
    EXPECT_EQ(edit_distance("", "", 3), 0u);
    EXPECT_EQ(edit_distance("abc", "abc", 3), 0u);
    EXPECT_EQ(edit_distance("abc", "abd", 3), 1u);
    EXPECT_EQ(edit_distance("abc", "acb", 3), 1u);
    EXPECT_EQ(edit_distance("abc", "xabc", 3), 1u);
    EXPECT_EQ(edit_distance("kitten", "sitting", 3), 3u);
    EXPECT_EQ(edit_distance("kitten", "sitting", 2), 3u) << "above the limit is one more than the limit";
    EXPECT_EQ(edit_distance("a", "abcdefgh", 2), 3u);
}

TEST(Path, is_made_plain_as_a_text) {
    EXPECT_EQ(path_from("/srv/shop", "."), "/srv/shop");
    EXPECT_EQ(path_from("/srv/shop", "web/"), "/srv/shop/web");
    EXPECT_EQ(path_from("/srv/shop/", "./a//b/../c"), "/srv/shop/a/c");
    EXPECT_EQ(path_from("/srv/shop", "/opt/x"), "/opt/x");
    EXPECT_EQ(path_from("/srv", "../../.."), "/");
    EXPECT_EQ(last_name("/srv/shop/"), "shop");
    EXPECT_EQ(last_name("/"), "");
}

std::vector<std::vector<std::string_view>> cycles_of(
    const std::map<std::string_view, std::vector<std::string_view>>& graph) {
    std::vector<std::string_view> names;
    for (const auto& [name, next] : graph) names.push_back(name);
    return find_cycles(names, [&graph](std::string_view name) { return graph.at(name); });
}

TEST(DependencyCycles, are_found_once_each_and_in_order) {
    EXPECT_THAT(cycles_of({{"a", {"b"}}, {"b", {"c"}}, {"c", {}}}), IsEmpty());
    EXPECT_THAT(cycles_of({{"a", {"b"}}, {"b", {"c"}}, {"c", {"b"}}}), ElementsAre(ElementsAre("b", "c")));
    EXPECT_THAT(cycles_of({{"a", {"a"}}}), ElementsAre(ElementsAre("a")));
    EXPECT_THAT(cycles_of({{"a", {"unknown"}}}), IsEmpty());
    EXPECT_THAT(cycles_of({{"a", {"b"}}, {"b", {"a"}}, {"c", {"d", "a"}}, {"d", {"c"}}}),
                ElementsAre(ElementsAre("a", "b"), ElementsAre("c", "d")));
}

}  // namespace
}  // namespace havn
