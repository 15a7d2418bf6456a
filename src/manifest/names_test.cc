#include "manifest/names.h"

#include <gtest/gtest.h>

#include "manifest/forms.h"
#include "manifest/keys.h"

namespace havn::manifest {
namespace {

TEST(Names, distance_counts_single_edits_and_swaps) {
    EXPECT_EQ(edit_distance("", "", 3), 0u);
    EXPECT_EQ(edit_distance("abc", "abc", 3), 0u);
    EXPECT_EQ(edit_distance("abc", "abd", 3), 1u);
    EXPECT_EQ(edit_distance("abc", "acb", 3), 1u);
    EXPECT_EQ(edit_distance("abc", "xabc", 3), 1u);
    EXPECT_EQ(edit_distance("kitten", "sitting", 3), 3u);
    EXPECT_EQ(edit_distance("kitten", "sitting", 2), 3u) << "above the limit is one more than the limit";
    EXPECT_EQ(edit_distance("a", "abcdefgh", 2), 3u);
}

TEST(Names, the_nearest_is_named_only_when_it_is_near) {
    const std::vector<std::string_view> known{"command", "instances", "cpus", "env"};
    EXPECT_EQ(nearest("comand", known), "command");
    EXPECT_EQ(nearest("Instances", known), "instances");
    EXPECT_EQ(nearest("cpu", known), "cpus");
    EXPECT_EQ(nearest("colour", known), "");
    EXPECT_EQ(nearest("x", known), "");
    EXPECT_EQ(nearest("", known), "");
}

TEST(Names, every_key_is_written_the_one_way_it_is_looked_up) {
    for (const auto& key : keys()) {
        EXPECT_TRUE(is_name(key.name)) << key.name;
        EXPECT_EQ(
            hint_for_unknown(key.section == "program" ? "service.*" : key.section, upper(key.name)).empty(),
            false)
            << "in capitals it is still recognized: " << key.name;
    }
}

}  // namespace
}  // namespace havn::manifest
