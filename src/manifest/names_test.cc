#include "manifest/names.h"

#include <gtest/gtest.h>

#include "base/text/ascii.h"
#include "base/text/program_name.h"
#include "manifest/keys.h"
#include "manifest/syntax/forms.h"

namespace havn::manifest {
namespace {

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
        EXPECT_TRUE(is_program_name(key.name)) << key.name;
        EXPECT_EQ(
            hint_for_unknown(key.section == "program" ? "service.*" : key.section, ascii_upper(key.name))
                .empty(),
            false)
            << "in capitals it is still recognized: " << key.name;
    }
}

}  // namespace
}  // namespace havn::manifest
