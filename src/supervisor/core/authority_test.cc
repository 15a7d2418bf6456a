#include "supervisor/core/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace havn::supervisor {
namespace {

constexpr std::uint32_t app = 61'184, alice = 1'000, control = 61'186;

Program job() {
    Program program;
    program.name = "job";
    program.kind = Kind::worker;
    program.command = "./job";
    program.directory = "/srv/shop";
    program.environment = {{"MODE", "fast"}};
    return program;
}

TEST(Authority, what_control_adds_changes_nothing_and_all_else_does) {
    const Program written = job();
    Program asked = job();
    asked.environment["AMQP_URL"] = asked.environment["CART_URL"] = asked.environment["HAVN_APP"] = "x";
    asked.instances = 7;
    EXPECT_TRUE(is_as_written(asked, written));
    for (const auto& change : std::vector<std::function<void(Program&)>>{
             [](Program& program) { program.command = "./evil"; },
             [](Program& program) { program.directory = "/tmp"; },
             [](Program& program) { program.user = "root"; },
             [](Program& program) { program.environment["LD_PRELOAD"] = "/tmp/evil.so"; },
             [](Program& program) { program.environment["MODE"] = "slow"; },
             [](Program& program) { program.environment.erase("MODE"); },
         }) {
        Program other = asked;
        change(other);
        EXPECT_FALSE(is_as_written(other, written));
    }
}

TEST(Authority, an_author_is_found_out_and_not_believed) {
    Desired wanted, accepted;
    wanted.programs = {job()};
    wanted.programs[0].written_by = 0;
    note_authors(wanted, accepted, std::nullopt);
    EXPECT_EQ(wanted.programs[0].written_by, std::nullopt);
    note_authors(wanted, accepted, Authored{alice, {job()}});
    EXPECT_EQ(wanted.programs[0].written_by, alice);
    accepted = wanted;
    wanted.programs[0].instances = 3;  // scaled, while the file says something else by now
    note_authors(wanted, accepted, Authored{0, {}});
    EXPECT_EQ(wanted.programs[0].written_by, alice);
}

TEST(Authority, a_program_runs_as_the_private_user_or_as_its_author) {
    Program program = job();
    EXPECT_TRUE(may_run(program, {app, 0, app}));
    EXPECT_FALSE(may_run(program, {alice, alice, app}));  // in her folder, by nobody's word
    program.written_by = alice;
    EXPECT_TRUE(may_run(program, {alice, alice, app}));
    EXPECT_TRUE(may_run(program, {alice, 0, app}));
    EXPECT_FALSE(may_run(program, {alice, control, app}));  // a folder that control made
    EXPECT_FALSE(may_run(program, {alice + 1, alice, app}));
    program.written_by = 0;
    EXPECT_TRUE(may_run(program, {alice + 1, alice, app}));
}

TEST(Authority, root_must_be_written_by_root) {
    Program program = job();
    program.user = "root";
    program.written_by = alice;
    const Result<> refused = may_run(program, {0, alice, app});
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), testing::HasSubstr("chown root"));
    program.written_by = 0;
    EXPECT_TRUE(may_run(program, {0, alice, app}));
    program.user = "";
    EXPECT_FALSE(may_run(program, {0, 0, app}));
}

}  // namespace
}  // namespace havn::supervisor
