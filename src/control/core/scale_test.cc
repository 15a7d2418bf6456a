#include "control/core/scale.h"

#include <gtest/gtest.h>

namespace havn::control {
namespace {

manifest::Manifest shop_with(std::uint32_t web, std::uint32_t mail) {
    manifest::Manifest manifest;
    manifest.services.emplace_back().name = "web";
    manifest.services.back().instances = web;
    manifest.workers.emplace_back().name = "mail";
    manifest.workers.back().instances = mail;
    return manifest;
}

std::map<std::string, std::uint32_t> counts(const ScaleTable& table, const manifest::Manifest& manifest,
                                            const std::string& app = {}) {
    std::map<std::string, std::uint32_t> counts;
    for (const ScaleTable::Scaled& one : table.holding(app, manifest)) counts[one.name] = one.count;
    return counts;
}

using Numbers = std::map<std::string, std::uint32_t>;

TEST(ScaleTable, a_count_holds_over_the_manifests_number) {
    ScaleTable table;
    table.set("", {{"web", 5}, {"mail", 0}}, shop_with(2, 1));
    EXPECT_EQ(counts(table, shop_with(2, 1)), (Numbers{{"mail", 0}, {"web", 5}}));
    EXPECT_EQ(sentence(table.holding("", shop_with(2, 1)).back()), "web is scaled to 5; the manifest says 2");
    const manifest::Manifest running = with_counts(shop_with(2, 1), table.holding("", shop_with(2, 1)));
    EXPECT_EQ(running.services[0].instances, 5u);
    EXPECT_EQ(running.workers[0].instances, 0u);
}

TEST(ScaleTable, a_count_ends_with_the_number_it_stands_over) {
    ScaleTable table;
    table.set("", {{"web", 5}, {"mail", 4}}, shop_with(2, 1));
    EXPECT_EQ(counts(table, shop_with(3, 1)), (Numbers{{"mail", 4}}));
    table.end_for("", shop_with(3, 1));
    EXPECT_EQ(counts(table, shop_with(2, 1)), (Numbers{{"mail", 4}})) << "it does not come back";
}

TEST(ScaleTable, a_count_ends_with_its_program_when_taken_back_and_by_the_manifests_own) {
    ScaleTable table;
    table.set("", {{"web", 5}, {"mail", 4}}, shop_with(2, 1));
    table.set("", {{"web", std::nullopt}}, shop_with(2, 1));
    EXPECT_EQ(counts(table, shop_with(2, 1)), (Numbers{{"mail", 4}}));
    table.set("", {{"mail", 1}}, shop_with(2, 1));
    EXPECT_EQ(table, ScaleTable{});
    table.set("", {{"web", 5}}, shop_with(2, 1));
    table.end_for("", manifest::Manifest{});
    EXPECT_EQ(table, ScaleTable{});
}

TEST(ScaleTable, applications_do_not_see_each_others_counts) {
    ScaleTable table;
    table.set("shop", {{"web", 5}}, shop_with(2, 1));
    EXPECT_TRUE(counts(table, shop_with(2, 1), "bakery").empty());
    EXPECT_TRUE(counts(table, shop_with(2, 1)).empty());
    table.end_for("bakery", shop_with(9, 9));
    EXPECT_EQ(counts(table, shop_with(2, 1), "shop"), (Numbers{{"web", 5}}));
}

TEST(ScaleTable, is_read_as_it_was_written) {
    ScaleTable table;
    table.set("", {{"web", 5}}, shop_with(2, 1));
    table.set("bakery", {{"mail", 7}}, shop_with(2, 1));
    const Result<ScaleTable> read = scale_table_from_json(to_json(table));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(*read, table);
    Json later = to_json(table);
    later["version"] = 2;
    EXPECT_FALSE(scale_table_from_json(later));
    Json wild = to_json(table);
    wild["applications"][0]["programs"][0]["count"] = 1'001;
    EXPECT_FALSE(scale_table_from_json(wild));
}

TEST(Counts, are_whole_numbers_or_the_manifests) {
    const Result<Counts> counts = counts_from_json({{"web", 3}, {"mail", nullptr}});
    ASSERT_TRUE(counts);
    EXPECT_EQ(*counts, (Counts{{"mail", std::nullopt}, {"web", 3u}}));
    for (const Json& bad : {Json(), Json::object(), Json::array({1}), Json{{"web", -1}}, Json{{"web", 1.5}},
                            Json{{"web", 1'001}}, Json{{"web", "3"}}}) {
        EXPECT_FALSE(counts_from_json(bad)) << bad.dump();
    }
}

TEST(Counts, of_a_program_nobody_has_are_refused_with_those_there_are) {
    EXPECT_TRUE(check_names({{"web", 3}, {"mail", 1}}, shop_with(1, 1)));
    const Result<> refused = check_names({{"nobody", 3}}, shop_with(1, 1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, Error::Kind::not_found);
    EXPECT_EQ(refused.error().remedy, "there are: web, mail");
}

}  // namespace
}  // namespace havn::control
