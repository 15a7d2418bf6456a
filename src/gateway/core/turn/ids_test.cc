#include "gateway/core/turn/ids.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace havn::gateway {
namespace {

TEST(Ids, are_version_7_uuids_that_sort_in_the_order_made) {
    IdGenerator generator(1);
    WallTime now(milliseconds(1'700'000'000'000));
    std::string last;
    for (int i = 0; i < 100'000; ++i) {
        if (i % 1000 == 0) now += milliseconds(1);
        if (i == 50'000) now -= seconds(60);  // the clock was set back
        const std::string id(generator.next(now).view());
        ASSERT_LT(last, id);
        ASSERT_EQ(id[14], '7');
        ASSERT_NE(std::string("89ab").find(id[19]), std::string::npos);
        last = id;
    }
    EXPECT_EQ(last[8], '-');
    EXPECT_EQ(
        std::string(IdGenerator(1).next(WallTime(milliseconds(1'700'000'000'000))).view()).substr(0, 13),
        "018bcfe5-6800");
}

TEST(Ids, of_two_generators_differ) {
    IdGenerator a(1), b(2);
    std::set<std::string> all;
    for (int i = 0; i < 1000; ++i) {
        all.emplace(a.next(WallTime{}).view());
        all.emplace(b.next(WallTime{}).view());
    }
    EXPECT_EQ(all.size(), 2000u);
}

}  // namespace
}  // namespace havn::gateway
