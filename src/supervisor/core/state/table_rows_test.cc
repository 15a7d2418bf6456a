#include "supervisor/core/state/table_rows.h"

#include "contract/process_rows.h"
#include "supervisor/core/process_table_fixture.h"

namespace havn::supervisor {
namespace {

struct TableRowsTest : ProcessTableTest {
    TableRows rows;
    link::ProcessRows shown;
    std::uint64_t revision = 0;

    void show(const std::optional<std::string>& message) {
        if (!message) return;
        Result<link::ToPart> read = link::to_part_from_json(parse_json(*message).value());
        ASSERT_TRUE(read.has_value()) << read.error().message;
        shown.apply(std::get<link::Processes>(std::move(*read)));
    }
    void show_whole() {
        std::ignore = table.take_touched();
        show(rows.whole(table, {}, ++revision));
    }
    void show_changes() { show(rows.changes(table, table.take_touched(), ++revision)); }
    void expect_up_to_date() {
        show_changes();
        TableRows anew;
        link::ProcessRows whole;
        Result<link::ToPart> read = link::to_part_from_json(parse_json(anew.whole(table, {}, 1)).value());
        whole.apply(std::get<link::Processes>(std::move(read.value())));
        EXPECT_EQ(shown.rows(), whole.rows());
    }
};

TEST_F(TableRowsTest, changes_alone_lead_to_the_table_as_a_whole) {
    add("web", Kind::service, 3);
    add("job", Kind::worker, 2);
    program("job").depends_on = {"web"};
    apply();
    parts_ready();
    show_whole();
    EXPECT_EQ(shown.rows()[0]["name"], "keeper");
    expect_up_to_date();
    settle();
    expect_up_to_date();
    die("web.2");
    expect_up_to_date();
    healthy("web.2");
    ASSERT_TRUE(table.restart("", "job", 0, now).has_value());
    perform();
    expect_up_to_date();
    program("web").instances = 1;
    apply();
    expect_up_to_date();
    die("web.1");
    for (const char* gone : {"web.2", "web.3"}) {
        if (!all(gone).empty()) table.drained(all(gone)[0]->life.address, now);
        perform();
        if (!all(gone).empty()) die(gone);
    }
    expect_up_to_date();
}

TEST_F(TableRowsTest, those_that_wait_are_shown_when_what_they_wait_for_goes) {
    add("web", Kind::service);
    add("job", Kind::worker);
    program("job").depends_on = {"web"};
    apply();
    show_whole();
    expect_up_to_date();
    program("web").instances = 0;
    apply();
    expect_up_to_date();
}

TEST_F(TableRowsTest, one_change_among_a_thousand_encodes_one_row) {
    add("web", Kind::service, 1'000);
    add("job", Kind::worker);
    settle();
    show_whole();
    const auto encoded = [&](auto event) {
        const std::uint64_t before = rows.rows_encoded();
        event();
        show_changes();
        return rows.rows_encoded() - before;
    };
    EXPECT_EQ(encoded([&] { die(*all("web.500")[0]); }), 1u);
    EXPECT_EQ(encoded([&] { healthy("web.500"); }), 1u);
    program("job").command = "another";
    EXPECT_LE(encoded([&] { apply(); }), 2u);
    EXPECT_EQ(encoded([] {}), 0u);
    expect_up_to_date();
}

TEST_F(TableRowsTest, a_row_says_where_its_instance_answers_while_it_lives) {
    add("web", Kind::service);
    desired.programs[0].app = "shop";
    settle();
    show_whole();
    const Json& row = shown.rows().back();
    EXPECT_EQ(row["app"], "shop");
    EXPECT_EQ(row["name"], "web");
    EXPECT_EQ(row["address"], instance("shop/web.1").life.address);
    EXPECT_EQ("127.0.0.1:" + row["port"].dump(), instance("shop/web.1").life.address);
    EXPECT_EQ(endpoints("shop/web").size(), 1u);
}

}  // namespace
}  // namespace havn::supervisor
