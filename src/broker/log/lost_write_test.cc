// The log against a disk that forgets: whatever it drops, tears or delays of what was not synced, recovery
// gives back what the log had said is durable. The oracle is what was said, nothing else.
#include <gtest/gtest.h>

#include "broker/log/log_testing.h"

namespace havn::broker {
namespace {

struct Published {
    std::string body;
    DeliveryId id;
    LogPosition appended = 0;             // durable from there on
    bool over = false;                    // settled, by us
    LogPosition over_at = UINT64_MAX;     // durably so from there on
    std::optional<std::size_t> moved_to;  // instead of it, as dead-lettering does
};

class Life : public LogOnLossyDisk {
  public:
    explicit Life(unsigned seed) : random_(seed) { segment_bytes = 1024u << random_() % 3; }

    void live() {
        if (random_() % 3 != 0) disk.operations_left = static_cast<int>(random_() % 200);
        const unsigned steps = 20 + random_() % 300;
        for (unsigned i = 0; i < steps && !log->failure(); ++i) {
            const std::uint64_t moved_before = log->stats().moved;
            const bool was_held_back = log->held_back();
            step();
            if (was_held_back) moved_while_full += log->stats().moved - moved_before;
        }
        if (random_() % 4 == 0 && !log->failure()) close();
    }

    void crash_and_recover() {
        const LogPosition durable = log->durable();
        moved += log->stats().moved;
        log.reset();
        disk.crash(random_);
        disk.full = random_() % 8 == 0;
        Result<> opened = open();
        if (!opened && disk.full && opened.error().kind == Error::Kind::unavailable) {
            disk.full = false;  // not even the reserve was left: it starts when there is space
            log.reset();
            opened = open();
        }
        ASSERT_TRUE(opened) << opened.error().text();
        ASSERT_TRUE(recovered.topology_complete);
        check_topology(durable);
        check_deliveries(durable);
    }

    std::uint64_t moved = 0;             // messages of rewritten segments
    std::uint64_t moved_while_full = 0;  // of these, with the disk full

  private:
    void step() {
        switch (random_() % 14) {
            case 0:
            case 1:
            case 2:
            case 3:
                publish_one();
                break;
            case 4:
            case 5:
                settle_one();
                break;
            case 6:
                move_one();
                break;
            case 7:
                change_topology();
                break;
            case 8:
                flush_some();
                break;
            case 9:
                flush_all();
                break;
            case 10:
                if (random_() % 3 == 0) settle_most();
                break;
            case 11:
                fill_or_free_the_disk();
                break;
            default:
                log->write_submitted();
                break;
        }
    }

    void publish_one() {
        Published one;
        one.body =
            std::to_string(++bodies_) + ":" + std::string(random_() % 4 == 0 ? random_() % 900 : 5, 'x');
        one.id = LogOnLossyDisk::publish(one.body, static_cast<std::uint32_t>(random_() % 3 + 1));
        one.appended = log->position();
        published_.push_back(std::move(one));
    }

    std::optional<std::size_t> pick() {
        for (int tries = 0; tries < 8 && !published_.empty(); ++tries) {
            const std::size_t i = random_() % published_.size();
            if (!published_[i].over) return i;
        }
        return std::nullopt;
    }

    void settle(std::size_t i) {
        published_[i].over = true;
        log->settle(published_[i].id, static_cast<std::uint32_t>(published_[i].body.size()));
        unwritten_settles_.push_back(i);
    }

    void close() {
        log->close();
        if (!log->failure()) settles_are_written();
    }

    void settle_one() {
        if (const std::optional<std::size_t> i = pick()) settle(*i);
    }

    void fill_or_free_the_disk() {
        if (random_() % 4 == 0) disk.full = !disk.full;
        if (!disk.full) log->prepare_files();  // the reserve
    }

    // Leaves segments behind of which little is needed, to be rewritten.
    void settle_most() {
        for (std::size_t i = 0; i < published_.size(); ++i) {
            if (!published_[i].over && random_() % 8 != 0) settle(i);
        }
    }

    void move_one() {
        const std::optional<std::size_t> i = pick();
        if (!i) return;
        publish_one();
        published_[*i].moved_to = published_.size() - 1;
        settle(*i);
    }

    // What was settled so far stands before position().
    void settles_are_written() {
        for (const std::size_t i : unwritten_settles_) published_[i].over_at = log->position();
        unwritten_settles_.clear();
    }
    void flush_some() {
        const bool writer_free = !log->submitted();
        log->flush(log->position() - std::min<LogPosition>(log->position(), random_() % 1000));
        if (writer_free) settles_are_written();
    }
    void flush_all() {
        log->flush_all();
        settles_are_written();
    }

    void change_topology() {
        const std::string key = "queue/" + std::to_string(random_() % 5);
        if (random_() % 3 == 0) {
            log->erase(key);
            topology_.erase(key);
        } else {
            const std::string value(random_() % 40, static_cast<char>('a' + random_() % 26));
            log->put(key, value);
            topology_[key] = value;
        }
        topologies_.push_back({log->position(), topology_});
    }

    // One of those it once had, not older than the last durable one.
    void check_topology(LogPosition durable) {
        bool known = false;
        for (std::size_t i = 0; i < topologies_.size(); ++i) {
            const bool superseded = i + 1 < topologies_.size() && topologies_[i + 1].first <= durable;
            known = known || (!superseded && topologies_[i].second == recovered.topology);
        }
        EXPECT_TRUE(known) << "recovered a topology of " << recovered.topology.size() << " entries";
        topology_ = recovered.topology;
        topologies_ = {{0, topology_}};
    }

    void check_deliveries(LogPosition durable);

    std::mt19937 random_;
    std::vector<Published> published_;
    std::size_t bodies_ = 0;
    std::vector<std::size_t> unwritten_settles_;
    std::map<std::string, std::string> topology_;
    std::vector<std::pair<LogPosition, std::map<std::string, std::string>>> topologies_{{0, {}}};
};

void Life::check_deliveries(LogPosition durable) {
    std::map<std::string, DeliveryId> back;
    std::vector<std::string> order, expected_order;
    for (const Recovered::Delivery& delivery : recovered.deliveries) {
        EXPECT_TRUE(back.emplace(delivery.body, delivery.id).second) << delivery.body << " came back twice";
        EXPECT_EQ(delivery.history.published, published);
        order.push_back(delivery.body);
    }
    for (const Published& one : published_) {
        if (back.contains(one.body)) expected_order.push_back(one.body);
    }
    EXPECT_EQ(order, expected_order) << "not in the order of publishing";
    bool missing_unsettled = false;
    std::vector<Published> left;
    for (const Published& one : published_) {
        const bool there = back.contains(one.body);
        if (there) {
            EXPECT_FALSE(missing_unsettled) << one.body << " is there, but one published before it is not";
            EXPECT_FALSE(one.over && one.over_at <= durable)
                << one.body << " came back though durably settled";
        } else {
            EXPECT_FALSE(one.appended <= durable && !one.over) << one.body << " was durable and is gone";
            if (!one.over) missing_unsettled = true;
            if (one.moved_to && one.appended <= durable) {
                const Published& copy = published_[*one.moved_to];
                EXPECT_TRUE(copy.over || back.contains(copy.body))
                    << one.body << " was over before its copy was safe";
            }
        }
        if (there) left.push_back({one.body, back[one.body], 0, false, UINT64_MAX, {}});
    }
    EXPECT_EQ(left.size(), back.size()) << "deliveries nobody published";
    published_ = std::move(left);
    unwritten_settles_.clear();
}

TEST(LostWrites, whatever_was_said_to_be_durable_is_there_and_nothing_else_comes_back) {
    std::uint64_t moved = 0, moved_while_full = 0;
    for (unsigned seed = 1; seed <= 800; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Life life(seed);
        ASSERT_TRUE(life.open());
        for (int lives = 0; lives < 5; ++lives) {
            life.live();
            life.crash_and_recover();
            if (HasFatalFailure() || HasNonfatalFailure()) return;
        }
        moved += life.moved;
        moved_while_full += life.moved_while_full;
    }
    EXPECT_GT(moved, 1000u) << "segments are rewritten under crashes, too";
    EXPECT_GT(moved_while_full, 100u) << "and on a full disk";
}

}  // namespace
}  // namespace havn::broker
