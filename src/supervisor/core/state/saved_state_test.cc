// What one supervisor writes down and the next one reads: all of it, however little each change wrote.
#include "supervisor/core/state/saved_state.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "supervisor/core/process_table_fixture.h"
#include "supervisor/core/state/state_writer.h"

namespace havn::supervisor {
namespace {

Json saved_json(const ProcessTable& table) {
    StateWriter writer("run", 0);
    return parse_json(writer.base(table, {})).value();
}

// The files of a supervisor, and what another one reads of them.
struct Files {
    StateWriter writer{"run", 0};
    std::string base, journal;

    void write_base(ProcessTable& table) {
        std::ignore = table.take_touched();
        base = writer.base(table, {});
        writer.base_is_written();
        journal = writer.journal_head();
    }
    void write_changes(ProcessTable& table) { journal += writer.changes(table, table.take_touched()); }
    SavedState read() const {
        SavedState saved = saved_state_from_json(parse_json(base).value()).value();
        add_journal(saved, journal);
        return saved;
    }
};

bool same(const Instance& a, const Instance& b) {
    InstanceFacts left = a, right = b;
    if (*left.program != *right.program) return false;
    left.program = right.program;
    // Kept as far as it is saved: what the next supervisor goes on from.
    left.policy = right.policy;
    left.outdated = right.outdated;
    const bool policies =
        a.policy.slow_retries() == b.policy.slow_retries() && a.policy.too_often() == b.policy.too_often();
    return left == right && policies;
}

void expect_same(const SavedState& saved, const ProcessTable& table) {
    EXPECT_EQ(saved.endpoints_version, table.endpoints().version);
    ASSERT_EQ(saved.instances.size(), table.instances().size());
    for (const Instance& instance : saved.instances) {
        ASSERT_TRUE(table.find(instance.id));
        EXPECT_TRUE(same(instance, *table.find(instance.id))) << instance.label();
    }
}

struct SavedStateTest : ProcessTableTest {};

TEST_F(SavedStateTest, the_next_supervisor_takes_over_without_an_effect) {
    add("web", Kind::service, 2);
    add("job", Kind::worker);
    settle();
    die("web.2");
    healthy("web.2");
    take_done();
    Result<SavedState> saved = saved_state_from_json(saved_json(table));
    ASSERT_TRUE(saved.has_value()) << saved.error().message;
    ProcessTable next(1);
    for (Instance& instance : saved->instances) next.adopt(std::move(instance), now);
    next.continue_endpoints(saved->endpoints_version);
    next.apply(desired, now);
    for (const Effect& effect : next.take_effects()) EXPECT_TRUE(std::holds_alternative<Publish>(effect));
    EXPECT_EQ(next.endpoints().services, table.endpoints().services);
    EXPECT_GT(next.endpoints().version, table.endpoints().version);
    ASSERT_EQ(next.instances().size(), table.instances().size());
    for (const auto& [id, instance] : table.instances()) {
        const Instance& other = *next.find(id);
        EXPECT_EQ(other.life.pid, instance.life.pid);
        EXPECT_EQ(other.state, instance.state);
        EXPECT_EQ(other.restarts, instance.restarts);
        EXPECT_EQ(*other.program, *instance.program);
        EXPECT_EQ(other.life.address, instance.life.address);
    }
}

TEST_F(SavedStateTest, a_table_of_rows_that_were_kept_is_the_one_that_would_be_made_anew) {
    Files files;
    const auto agrees = [&] {
        SavedState anew = saved_state_from_json(saved_json(table)).value();
        files.write_changes(table);
        expect_same(files.read(), table);
        files.write_base(table);
        expect_same(files.read(), table);
        return anew.instances.size() == files.read().instances.size();
    };
    files.write_base(table);
    add("web", Kind::service, 2);
    add("job", Kind::worker);
    settle();
    EXPECT_TRUE(agrees());
    die("web.2");
    EXPECT_TRUE(agrees());
    healthy("web.2");
    desired.programs.erase(desired.programs.begin());  // the specifications that stay get other numbers
    apply();
    take_done();
    EXPECT_TRUE(agrees());
    die("job.1");
    table.exit_known(instance("job.1").id, Exit("signal 9 (Killed)", {}, 9));
    EXPECT_TRUE(agrees());
}

TEST_F(SavedStateTest, a_process_started_after_the_table_was_written_is_taken_over_too) {
    add("web", Kind::service);
    settle();
    Files files;
    files.write_base(table);
    die("web.1");  // and is started again
    const std::string line = files.writer.started(instance("web.1"));
    files.journal = "not json\n" + files.journal + line + line.substr(0, line.size() / 2);
    const SavedState saved = files.read();
    const auto found = std::ranges::find(saved.instances, instance("web.1").id, &Instance::id);
    EXPECT_EQ(found->life.pid, instance("web.1").life.pid);
    EXPECT_EQ(found->life.address, instance("web.1").life.address);
    EXPECT_EQ(found->restarts, 1u);
    EXPECT_EQ(found->state, State::starting);
}

TEST_F(SavedStateTest, a_start_of_an_instance_that_is_new_is_taken_over_with_what_it_runs) {
    settle();
    Files files;
    files.write_base(table);
    add("web", Kind::service);
    apply();
    files.journal += files.writer.started(instance("web.1"));
    const SavedState saved = files.read();
    const auto found = std::ranges::find(saved.instances, instance("web.1").id, &Instance::id);
    ASSERT_NE(found, saved.instances.end());
    EXPECT_TRUE(same(*found, instance("web.1")));
}

TEST_F(SavedStateTest, a_journal_of_another_base_is_older_and_does_not_count) {
    add("web", Kind::service);
    settle();
    Files files;
    files.write_base(table);
    die("web.1");
    files.write_changes(table);
    const std::string before = files.journal;
    healthy("web.1");
    files.write_base(table);
    files.journal = before;  // it died before it had emptied it
    expect_same(files.read(), table);
}

TEST_F(SavedStateTest, one_change_among_a_thousand_encodes_one_row) {
    add("web", Kind::service, 1'000);
    settle();
    Files files;
    files.write_base(table);
    const auto encoded = [&](auto event) {
        const std::uint64_t before = files.writer.rows_encoded();
        event();
        files.write_changes(table);
        return files.writer.rows_encoded() - before;
    };
    EXPECT_LE(encoded([&] { die(*all("web.500")[0]); }), 1u);
    EXPECT_LE(encoded([&] { healthy("web.500"); }), 1u);
    EXPECT_EQ(encoded([&] { table.tick(now); }), 0u);
    const std::size_t journal = files.journal.size();
    EXPECT_LT(journal, 4'000u);
    expect_same(files.read(), table);
    // Its rows are kept: a new base encodes none.
    const std::uint64_t before = files.writer.rows_encoded();
    files.write_base(table);
    EXPECT_EQ(files.writer.rows_encoded(), before);
}

TEST_F(SavedStateTest, a_spoilt_process_table_is_an_error_and_no_crash) {
    settle();
    Json json = saved_json(table);
    json["instances"][0]["program"] = 99;
    EXPECT_EQ(saved_state_from_json(json).error().kind, Error::Kind::corrupt);
    json = saved_json(table);
    json["instances"][0].erase("pid");
    EXPECT_EQ(saved_state_from_json(json).error().kind, Error::Kind::corrupt);
    EXPECT_EQ(saved_state_from_json(Json(7)).error().kind, Error::Kind::corrupt);
    json = saved_json(table);
    json["version"] = SavedState::version + 1;
    EXPECT_EQ(saved_state_from_json(json).error().kind, Error::Kind::invalid);
}

std::string stored_text(const char* name) {
    const std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path() / "testdata/version1";
    std::stringstream text;
    text << std::ifstream(folder / name).rdbuf();
    return text.str();
}

TEST(SavedStateOfVersion1, is_read_with_its_journal) {
    const Json json = parse_json(stored_text("processes.json")).value();
    Result<SavedState> saved = saved_state_from_json(json);
    ASSERT_TRUE(saved.has_value()) << saved.error().message;
    EXPECT_EQ(saved->base, 0u);
    EXPECT_EQ(saved->run, "93263a1a37e2a19938bfd30115627e0f");
    EXPECT_EQ(saved->endpoints_version, 3u);
    EXPECT_EQ(saved->platform.keeper.pid, 11303);
    ASSERT_EQ(saved->instances.size(), 6u);
    const Instance& web = saved->instances[4];
    EXPECT_EQ(web.label(), "web.2");
    EXPECT_EQ(web.app, "");
    EXPECT_EQ(web.life, (Started{"93263a1a37e2a19938bfd30115627e0f.efdf9acc17061a15", 11309, 2695341,
                                 "127.0.0.1:11956"}));
    EXPECT_EQ(web.program->health->path, "/");
    EXPECT_EQ(saved->instances[0].life.address, "");
    add_journal(*saved, stored_text("spawned.jsonl"));
    const Instance& job = saved->instances[5];
    EXPECT_EQ(job.label(), "job.1");
    EXPECT_EQ(job.life.pid, 11368);
    EXPECT_EQ(job.life.handle, "93263a1a37e2a19938bfd30115627e0f.c805d6326ba6ee82");
    EXPECT_EQ(job.restarts, 2u);
    EXPECT_EQ(job.state, State::starting);
}

TEST(SavedStateOfVersion1, leads_to_the_same_processes_under_its_configuration) {
    SavedState saved = saved_state_from_json(parse_json(stored_text("processes.json")).value()).value();
    const Moment now{Time{} + seconds(1'000), WallTime{} + std::chrono::milliseconds(1'795'298'749'000)};
    const Desired desired = desired_from_json(parse_json(stored_text("desired.json")).value()).value();
    ProcessTable table(1);
    for (const Instance& instance : saved.instances) table.adopt(instance, now);
    table.apply(desired, now);
    for (const Effect& effect : table.take_effects()) EXPECT_TRUE(std::holds_alternative<Publish>(effect));
    EXPECT_EQ(table.instances().size(), 6u);
    EXPECT_EQ(table.endpoints().services.at("web").size(), 2u);
}

}  // namespace
}  // namespace havn::supervisor
