#include "gateway/core/endpoint_versions.h"

#include <gtest/gtest.h>

namespace havn::gateway {
namespace {

using News = EndpointVersions::News;

Clusters::Table table_of(const std::vector<std::string>& addresses) {
    Clusters::Table table;
    for (const std::string& address : addresses) table["web"].push_back({address, 1});
    return table;
}

TEST(EndpointVersions, are_applied_when_every_thread_has_said_so) {
    EndpointVersions versions;
    EXPECT_EQ(versions.replace(table_of({"a"}), 1, {1, 2}), News{});
    EXPECT_EQ(versions.applied(1, 1), News{});
    EXPECT_EQ(versions.applied(2, 1), (News{{1}, {}}));
    EXPECT_EQ(versions.applied(2, 1), News{}) << "once";
}

TEST(EndpointVersions, without_threads_are_applied_at_once) {
    EndpointVersions versions;
    versions.replace(table_of({"a"}), 1, {});
    EXPECT_EQ(versions.replace(table_of({}), 2, {}), (News{{2}, {"a"}}));
}

TEST(EndpointVersions, an_endpoint_is_drained_when_no_thread_uses_it) {
    EndpointVersions versions;
    versions.replace(table_of({"a", "b"}), 1, {1, 2});
    versions.replace(table_of({"b"}), 2, {1, 2});
    EXPECT_EQ(versions.drained(1, "a", 2), News{});
    EXPECT_EQ(versions.drained(2, "a", 2), (News{{}, {"a"}}));
    EXPECT_EQ(versions.drained(2, "b", 2), News{});
}

TEST(EndpointVersions, word_of_an_earlier_removal_counts_for_nothing) {
    EndpointVersions versions;
    versions.replace(table_of({"a"}), 1, {1});
    versions.replace(table_of({}), 2, {1});
    versions.replace(table_of({"a"}), 3, {1});
    versions.replace(table_of({}), 4, {1});
    EXPECT_EQ(versions.drained(1, "a", 2), News{});
    EXPECT_EQ(versions.drained(1, "a", 4), (News{{}, {"a"}}));
}

TEST(EndpointVersions, a_thread_that_ended_is_waited_for_no_longer) {
    EndpointVersions versions;
    versions.replace(table_of({"a"}), 1, {1, 2});
    versions.applied(1, 1);
    versions.replace(table_of({}), 2, {1, 2});
    versions.drained(1, "a", 2);
    versions.applied(1, 2);
    EXPECT_EQ(versions.thread_ended(2), (News{{1, 2}, {"a"}}));
}

}  // namespace
}  // namespace havn::gateway
