// What the simulations rely on: a network that is bad, but honest, and a disk that keeps what was synced.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/random.h"
#include "sim/files.h"
#include "sim/network.h"
#include "sim/scheduler.h"
#include "sim/seeds.h"

namespace havn::sim {
namespace {

std::string random_text(Random& random, std::size_t size) {
    std::string text(size, ' ');
    for (char& c : text) c = static_cast<char>('a' + random.below(26));
    return text;
}

// Sends a text, and collects what comes, by edges alone.
class Peer {
  public:
    Peer(End& end, std::string text) : end_(end), text_(std::move(text)) {
        end_.listen([this](End::Edge) { move(); });
        move();
    }

    const std::string& received() const { return received_; }
    bool ended() const { return closed_ || failed_; }
    bool failed() const { return failed_; }

  private:
    void move() {
        while (sent_ < text_.size() && !failed_) {
            const End::Moved moved = end_.send(std::string_view(text_).substr(sent_));
            if (moved.status == End::Status::failed) failed_ = true;
            if (moved.status != End::Status::ok) break;
            sent_ += moved.size;
        }
        if (sent_ == text_.size() && !finished_ && !failed_) {
            finished_ = true;
            end_.finish();
        }
        char piece[512];
        while (!ended()) {
            const End::Moved moved = end_.receive(piece, sizeof piece);
            if (moved.status == End::Status::blocked) break;
            if (moved.status == End::Status::closed) closed_ = true;
            if (moved.status == End::Status::failed) failed_ = true;
            if (moved.status == End::Status::ok) received_.append(piece, moved.size);
        }
    }

    End& end_;
    std::string text_;
    std::size_t sent_ = 0;
    std::string received_;
    bool finished_ = false, closed_ = false, failed_ = false;
};

TEST(Network, whoever_follows_its_edges_moves_everything_both_ways) {
    for_seeds(500, [](std::uint64_t seed) {
        Scheduler scheduler(seed);
        Network network(scheduler, {});
        const std::string there = random_text(scheduler.random(), scheduler.random().below(20'000));
        const std::string back = random_text(scheduler.random(), scheduler.random().below(20'000));
        const auto [one, other] = network.connect();
        Peer left(*one, there), right(*other, back);
        scheduler.run_until(scheduler.now() + std::chrono::hours(24));
        EXPECT_EQ(right.received(), there);
        EXPECT_EQ(left.received(), back);
        EXPECT_TRUE(left.ended() && right.ended());
        EXPECT_FALSE(left.failed() || right.failed());
    });
}

TEST(Network, what_arrives_over_a_connection_that_resets_is_a_prefix_and_both_ends_learn_of_it) {
    for_seeds(500, [](std::uint64_t seed) {
        Scheduler scheduler(seed);
        Network network(scheduler, {.reset_once_in = 20});
        const std::string there = random_text(scheduler.random(), 5'000 + scheduler.random().below(20'000));
        const auto [one, other] = network.connect();
        Peer left(*one, there), right(*other, "");
        scheduler.run_until(scheduler.now() + std::chrono::hours(24));
        EXPECT_THAT(there, ::testing::StartsWith(right.received()));
        EXPECT_TRUE(left.ended() && right.ended());
        EXPECT_TRUE(left.failed() || right.failed() || right.received() == there);
    });
}

TEST(Files, what_was_synced_survives_a_crash_and_the_rest_is_old_new_or_a_part) {
    for_seeds(500, [](std::uint64_t seed) {
        Random random(seed);
        Files files(random);
        const std::string old = random_text(random, 30), anew = random_text(random, 40);
        ASSERT_TRUE(files.write("state", old) && files.sync_file("state") && files.sync_names());
        ASSERT_TRUE(files.write("state.new", anew));
        const bool synced = random.once_in(2);
        if (synced) ASSERT_TRUE(files.sync_file("state.new"));
        ASSERT_TRUE(files.rename("state.new", "state"));
        files.crash();
        const std::optional<std::string> found = files.read("state");
        ASSERT_TRUE(found) << "a rename replaces a file, it never leaves none";
        if (synced) EXPECT_TRUE(*found == old || *found == anew);
        if (!synced) EXPECT_TRUE(*found == old || anew.starts_with(*found));
    });
}

TEST(Scheduler, equal_seeds_give_equal_runs_and_a_cancelled_action_does_not_run) {
    for_seeds(50, [](std::uint64_t seed) {
        std::string runs[2];
        for (std::string& run : runs) {
            Scheduler scheduler(seed);
            for (char name = 'a'; name < 'k'; ++name) {
                scheduler.after(milliseconds(5), [&run, name] { run += name; });
            }
            const Scheduler::Ticket ticket = scheduler.after(milliseconds(5), [&run] { run += '!'; });
            scheduler.cancel(ticket);
            while (scheduler.step()) {
            }
        }
        EXPECT_EQ(runs[0], runs[1]);
        EXPECT_EQ(runs[0].size(), 10u);
        EXPECT_EQ(runs[0].find('!'), std::string::npos);
    });
}

}  // namespace
}  // namespace havn::sim
