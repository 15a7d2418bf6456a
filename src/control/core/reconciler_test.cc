#include "control/core/reconciler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manifest/manifest.h"

namespace havn::control {
namespace {

constexpr Time beginning{};

Submission submission(std::string_view text) {
    manifest::Parsed parsed = manifest::parse_toml(text, "havn.toml");
    EXPECT_TRUE(parsed.manifest) << manifest::render(parsed.diagnostics, {});
    return {
        .app = {}, .manifest = std::move(*parsed.manifest), .file = "havn.toml", .directory = "/srv/shop"};
}

const char* const one_web = "[service.web]\ncommand = 'serve'\n";
const char* const two_services = "[service.web]\ncommand = 'serve'\n[service.api]\ncommand = 'serve'\n";

// Feeds a reconciler and performs what it asks for as the test says: all goes well unless told otherwise.
struct Platform {
    Reconciler reconciler;
    Effects effects;
    std::map<Ticket, Result<Outcome>> replies;
    std::vector<Ticket> begun;
    std::vector<std::string> done;  // the effects, in their order
    Result<> drafting, committing;
    std::vector<std::pair<Answer, Error>> answers;  // of the supervisor, the next one first; then it accepts
    bool supervisor_answers = true;
    std::optional<AskSupervisor> question;  // that was not answered
    std::optional<Announce> announced;
    std::optional<Commit> commit;
    int port = 28'000;

    void run(Time now = beginning) {
        while (!effects.empty()) {
            Effect effect = std::move(effects.front());
            effects.erase(effects.begin());
            std::visit([&](auto& one) { perform(one, now); }, effect);
        }
    }
    Ticket ask(Change change, Time now = beginning) {
        const Ticket ticket = reconciler.submit(std::move(change), now, effects);
        run(now);
        return ticket;
    }
    Ticket apply(std::string_view text, bool force = false, Time now = beginning) {
        return ask(ApplyChange{submission(text), force}, now);
    }
    Ticket scale(Counts counts) { return ask(ScaleChange{"", std::move(counts)}); }
    void answer(Answer answer, Error cause = {}, Time now = beginning) {
        ASSERT_TRUE(question);
        const std::uint64_t number = std::exchange(question, std::nullopt)->question;
        reconciler.answered(number, answer, std::move(cause), now, effects);
        run(now);
    }
    const Outcome& outcome(Ticket ticket) {
        EXPECT_TRUE(replies.contains(ticket) && replies.at(ticket));
        return *replies.at(ticket);
    }
    Error error(Ticket ticket) {
        EXPECT_TRUE(replies.contains(ticket) && !replies.at(ticket));
        return replies.at(ticket).error();
    }

    void perform(Begin& effect, Time) { begun.push_back(effect.ticket); }
    void perform(ChoosePlacement& effect, Time now) {
        done.push_back("place");
        Placement chosen;
        if (effect.password) chosen.broker_password = "s3cret";
        for (const std::string& service : effect.services) {
            chosen.service_addresses[service] = "127.0.0.1:" + std::to_string(port++);
        }
        reconciler.placed(chosen, now, effects);
    }
    void perform(WriteDraft& effect, Time now) {
        done.push_back("draft " + std::to_string(effect.revision.number));
        if (drafting) return reconciler.drafted(std::string("2026-11-21T14:00:00.000Z"), now, effects);
        reconciler.drafted(std::unexpected(drafting.error()), now, effects);
    }
    void perform(DropDraft& effect, Time) { done.push_back("drop " + std::to_string(effect.number)); }
    void perform(AskSupervisor& effect, Time now) {
        done.push_back("ask " + std::to_string(effect.desired.revision));
        question = effect;
        if (!supervisor_answers) return;
        question.reset();
        std::pair<Answer, Error> next{Answer::accepted, {}};
        if (!answers.empty()) {
            next = answers.front();
            answers.erase(answers.begin());
        }
        reconciler.answered(effect.question, next.first, next.second, now, effects);
    }
    void perform(Commit& effect, Time now) {
        done.push_back("commit");
        commit = effect;
        reconciler.committed(committing, now, effects);
    }
    void perform(Announce& effect, Time) {
        done.push_back("announce");
        announced = effect;
    }
    void perform(Reply& effect, Time) {
        EXPECT_TRUE(replies.emplace(effect.ticket, effect.outcome).second) << "answered twice";
    }
};

using testing::ElementsAre;

const Error no{Error::Kind::unavailable, "0.0.0.0:8080 is taken", "choose another"};

TEST(Reconciler, a_change_counts_only_when_all_have_it) {
    Platform platform;
    const Ticket ticket = platform.apply(one_web);
    EXPECT_THAT(platform.done, ElementsAre("place", "draft 1", "ask 1", "commit", "announce"));
    EXPECT_TRUE(platform.outcome(ticket).changed);
    EXPECT_EQ(platform.outcome(ticket).revision, 1u);
    ASSERT_TRUE(platform.reconciler.current(""));
    EXPECT_EQ(platform.reconciler.current("")->number, 1u);
    EXPECT_EQ(platform.reconciler.current("")->applied_at, "2026-11-21T14:00:00.000Z");
    EXPECT_EQ(platform.announced->compiled.supervisor.revision, 1u);
}

TEST(Reconciler, what_is_the_same_writes_nothing_unless_it_is_forced) {
    Platform platform;
    platform.apply(one_web);
    platform.done.clear();
    const Ticket again = platform.apply(one_web);
    EXPECT_FALSE(platform.outcome(again).changed);
    EXPECT_EQ(platform.outcome(again).revision, 1u);
    EXPECT_THAT(platform.done, ElementsAre("place"));
    EXPECT_EQ(platform.outcome(platform.apply(one_web, true)).revision, 2u);
}

TEST(Reconciler, a_service_keeps_its_address_and_the_application_its_password) {
    Platform platform;
    platform.apply(one_web);
    const Placement before = platform.reconciler.current("")->placement;
    platform.apply(two_services);
    const Placement after = platform.reconciler.current("")->placement;
    EXPECT_EQ(after.broker_password, before.broker_password);
    EXPECT_EQ(after.service_addresses.at("web"), before.service_addresses.at("web"));
    EXPECT_NE(after.service_addresses.at("api"), before.service_addresses.at("web"));
}

TEST(Reconciler, a_draft_that_cannot_be_written_changes_nothing) {
    Platform platform;
    platform.apply(one_web);
    platform.done.clear();
    platform.drafting = std::unexpected(no);
    EXPECT_EQ(platform.error(platform.apply(two_services)).text(), no.text());
    EXPECT_THAT(platform.done, ElementsAre("place", "draft 2", "drop 2"));
    EXPECT_EQ(platform.reconciler.current("")->number, 1u);
    EXPECT_TRUE(platform.reconciler.idle());
}

TEST(Reconciler, what_the_supervisor_refuses_leaves_the_former_in_force) {
    Platform platform;
    platform.apply(one_web);
    platform.done.clear();
    platform.answers = {{Answer::refused, no}};
    EXPECT_EQ(platform.error(platform.apply(two_services)).text(), no.text());
    EXPECT_THAT(platform.done, ElementsAre("place", "draft 2", "ask 2", "drop 2"));
    EXPECT_EQ(platform.reconciler.current("")->number, 1u);
}

TEST(Reconciler, a_new_address_that_was_taken_meanwhile_is_chosen_again_a_few_times) {
    Platform platform;
    platform.answers = {{Answer::refused, {Error::Kind::unavailable, "127.0.0.1:28000 is taken", {}}}};
    const Ticket ticket = platform.apply(one_web);
    EXPECT_TRUE(platform.outcome(ticket).changed);
    EXPECT_EQ(platform.reconciler.current("")->placement.service_addresses.at("web"), "127.0.0.1:28001");
    EXPECT_THAT(platform.done, ElementsAre("place", "draft 1", "ask 1", "drop 1", "place", "draft 1", "ask 1",
                                           "commit", "announce"));
    Platform unlucky;
    unlucky.answers.assign(10, {Answer::refused, {Error::Kind::unavailable, "127.0.0.1:2800", {}}});
    for (int i = 0; i < 10; ++i) unlucky.answers[i].second.message += std::to_string(i) + " is taken";
    EXPECT_NE(unlucky.error(unlucky.apply(one_web)).message.find("28004 is taken"), std::string::npos);
}

TEST(Reconciler, what_was_accepted_and_not_committed_is_taken_back_from_the_supervisor) {
    Platform platform;
    platform.apply(one_web);
    platform.done.clear();
    platform.committing = std::unexpected(no);
    EXPECT_EQ(platform.error(platform.apply(two_services)).text(), no.text());
    EXPECT_THAT(platform.done, ElementsAre("place", "draft 2", "ask 2", "commit", "drop 2", "ask 1"));
    EXPECT_TRUE(platform.reconciler.idle());
}

TEST(Reconciler, what_may_have_been_accepted_is_taken_back_until_the_supervisor_says_so) {
    Platform platform;
    platform.apply(one_web);
    platform.supervisor_answers = false;
    const Ticket ticket = platform.apply(two_services);
    platform.answer(Answer::unknown, no);
    EXPECT_EQ(platform.error(ticket).text(), no.text()) << "whoever asked does not wait for that";
    ASSERT_TRUE(platform.question);
    EXPECT_EQ(platform.question->desired.revision, 1u);
    platform.answer(Answer::unknown, no);
    EXPECT_FALSE(platform.question);
    EXPECT_EQ(platform.reconciler.deadline(), beginning + Reconciler::restore_pause);
    platform.reconciler.tick(platform.reconciler.deadline(), platform.effects);
    platform.run();
    ASSERT_TRUE(platform.question);
    const Ticket next = platform.scale({{"web", 3}});
    EXPECT_FALSE(platform.replies.contains(next)) << "it waits for the supervisor to be where it should be";
    platform.answer(Answer::accepted);
    platform.answer(Answer::accepted);
    EXPECT_TRUE(platform.outcome(next).changed);
}

TEST(Reconciler, a_late_answer_to_an_older_question_means_nothing) {
    Platform platform;
    platform.supervisor_answers = false;
    const Ticket ticket = platform.apply(one_web);
    const std::uint64_t question = platform.question->question;
    platform.reconciler.answered(question + 1, Answer::accepted, {}, beginning, platform.effects);
    platform.reconciler.answered(question - 1, Answer::refused, no, beginning, platform.effects);
    platform.run();
    EXPECT_FALSE(platform.replies.contains(ticket));
    platform.answer(Answer::accepted);
    EXPECT_TRUE(platform.outcome(ticket).changed);
}

TEST(Reconciler, changes_go_one_at_a_time_in_the_order_of_asking) {
    Platform platform;
    platform.supervisor_answers = false;
    const Ticket first = platform.apply(one_web);
    const Ticket second = platform.apply(two_services);
    const Ticket third = platform.scale({{"api", 4}});
    EXPECT_THAT(platform.begun, ElementsAre(first));
    platform.answer(Answer::accepted);
    EXPECT_THAT(platform.begun, ElementsAre(first, second));
    platform.answer(Answer::accepted);
    EXPECT_THAT(platform.begun, ElementsAre(first, second, third));
    platform.answer(Answer::accepted);
    EXPECT_TRUE(platform.outcome(third).changed) << "it saw what the one before it brought";
}

TEST(Reconciler, whoever_waits_too_long_goes_without_and_the_next_is_not_skipped) {
    Platform platform;
    platform.supervisor_answers = false;
    const Ticket first = platform.apply(one_web);
    const Ticket second = platform.apply(two_services);
    const Time later = beginning + seconds(20);
    const Ticket third = platform.apply(two_services, false, later);
    EXPECT_EQ(platform.reconciler.deadline(), beginning + Reconciler::wait_max);
    platform.reconciler.tick(beginning + Reconciler::wait_max, platform.effects);
    platform.run();
    EXPECT_EQ(platform.error(second).kind, Error::Kind::unavailable);
    EXPECT_EQ(platform.reconciler.deadline(), later + Reconciler::wait_max);
    platform.answer(Answer::accepted);
    platform.answer(Answer::accepted);
    EXPECT_TRUE(platform.outcome(first).changed);
    EXPECT_EQ(platform.outcome(third).revision, 2u);
}

TEST(Reconciler, waiting_makes_nothing_due_before_its_end) {
    Platform platform;
    platform.supervisor_answers = false;
    platform.apply(one_web);
    for (int i = 0; i < 5; ++i) platform.apply(two_services, false, beginning + seconds(i));
    EXPECT_EQ(platform.reconciler.deadline(), beginning + Reconciler::wait_max);
}

TEST(Reconciler, a_scale_writes_no_revision_and_asks_for_nothing_but_the_number) {
    Platform platform;
    platform.apply(one_web);
    platform.done.clear();
    const Ticket ticket = platform.scale({{"web", 3}});
    EXPECT_THAT(platform.done, ElementsAre("ask 1", "commit"));
    EXPECT_EQ(platform.outcome(ticket).revision, 1u);
    EXPECT_FALSE(platform.commit->number);
    ASSERT_TRUE(platform.commit->scales);
    EXPECT_EQ(platform.reconciler.compiled()->supervisor.programs[0].instances, 3u);
    EXPECT_TRUE(
        platform.reconciler.plan("", platform.reconciler.current("")->source.manifest).changes.empty());
    const Ticket again = platform.scale({{"web", 3}});
    EXPECT_FALSE(platform.outcome(again).changed);
    EXPECT_EQ(platform.error(platform.scale({{"nobody", 3}})).kind, Error::Kind::not_found);
}

TEST(Reconciler, a_scale_that_is_not_accepted_does_not_hold) {
    Platform platform;
    platform.apply(one_web);
    platform.answers = {{Answer::refused, no}};
    EXPECT_EQ(platform.error(platform.scale({{"web", 3}})).text(), no.text());
    platform.committing = std::unexpected(no);
    EXPECT_EQ(platform.error(platform.scale({{"web", 3}})).text(), no.text());
    EXPECT_EQ(platform.reconciler.compiled()->supervisor.programs[0].instances, 1u);
    EXPECT_TRUE(platform.reconciler.scaled("").empty());
}

TEST(Reconciler, a_scale_stays_over_an_apply_until_the_manifest_says_another_number) {
    Platform platform;
    platform.apply(one_web);
    platform.scale({{"web", 3}});
    platform.apply(two_services);
    EXPECT_EQ(platform.reconciler.scaled("").size(), 1u);
    EXPECT_FALSE(platform.commit->scales);
    platform.apply(std::string(one_web) + "instances = 2\n");
    EXPECT_TRUE(platform.reconciler.scaled("").empty());
    EXPECT_EQ(platform.reconciler.compiled()->supervisor.programs[0].instances, 2u);
    ASSERT_TRUE(platform.commit->scales) << "it is forgotten on disk as well";
    EXPECT_EQ(*platform.commit->scales, ScaleTable{});
}

TEST(Reconciler, nothing_can_be_scaled_before_something_was_applied) {
    Platform platform;
    EXPECT_EQ(platform.error(platform.scale({{"web", 3}})).kind, Error::Kind::not_found);
}

TEST(Reconciler, after_a_start_what_was_in_force_holds_again_before_anything_is_changed) {
    Platform before;
    before.apply(one_web);
    before.scale({{"web", 3}});
    Platform platform;
    platform.supervisor_answers = false;
    ASSERT_TRUE(platform.reconciler.start({*before.reconciler.current("")}, *before.commit->scales,
                                          platform.effects));
    platform.run();
    EXPECT_THAT(platform.done, ElementsAre("announce", "ask 1"));
    EXPECT_EQ(platform.question->desired.programs[0].instances, 3u);
    const Ticket next = platform.apply(two_services);
    EXPECT_TRUE(platform.begun.empty());
    platform.answer(Answer::refused, no);  // say, for a port that somebody else has now
    EXPECT_THAT(platform.begun, ElementsAre(next));
}

}  // namespace
}  // namespace havn::control
