#include "sim/reconciler_world.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace havn::control {
namespace {

constexpr Duration ask_timeout = seconds(30);  // as the shell has them
constexpr Duration tell_timeout = seconds(5);
constexpr int ticks_at_once_max = 3;
const Error refusal{Error::Kind::unavailable, "0.0.0.0:8080 is taken", {}};

std::string text_of(const supervisor::Desired& desired) {
    return supervisor::to_json(desired).dump();
}

}  // namespace

ReconcilerWorld::ReconcilerWorld(std::uint64_t seed, Trouble trouble)
    : trouble_(trouble),
      scheduler_(seed),
      disk_(scheduler_.random()),
      calm_from_(scheduler_.now() + trouble_time) {}

void ReconcilerWorld::run() {
    start_control();
    for (const char* name : {"gateway", "broker"}) start_component(name);
    schedule_trouble();
    const Time end = calm_from_ + calm_time;
    scheduler_.at(calm_from_, [this] { disk_.set_full(false); });
    scheduler_.run_until(end);
}

void ReconcilerWorld::schedule_trouble() {
    Random& random = scheduler_.random();
    for (std::uint64_t i = random.between(2, 6); i > 0; --i) {
        const Time when = scheduler_.now() + milliseconds(random.between(0, 200'000));
        for (std::uint64_t at_once = random.between(1, 4); at_once > 0; --at_once) {
            scheduler_.at(when + milliseconds(random.below(50)), [this] { submit_something(); });
        }
    }
    for (const char* name : {"gateway", "broker"}) {
        for (std::uint64_t i = random.below(5); i > 0; --i) {
            scheduler_.within(seconds(1), trouble_time, [this, name] { kill_component(name); });
        }
    }
    for (std::uint64_t i = trouble_.crashes ? random.below(4) : 0; i > 0; --i) {
        scheduler_.within(seconds(1), trouble_time,
                          [this] { scheduler_.random().once_in(3) ? cut_the_power() : kill_control(); });
    }
    for (std::uint64_t i = trouble_.full_disk ? random.below(4) : 0; i > 0; --i) {
        scheduler_.within(seconds(1), trouble_time, [this] { disk_.set_full(!is_calm()); });
        scheduler_.within(seconds(1), trouble_time, [this] { disk_.set_full(false); });
    }
}

// --- control

void ReconcilerWorld::start_control() {
    ++life_;
    control_ = std::make_unique<Control>(disk_);
    Result<std::optional<Revision>> current = control_->revisions.current("");
    ASSERT_TRUE(current) << "a revision is whole or is not there: " << current.error().text();
    Result<ScaleTable> scales = control_->scales.load();
    ASSERT_TRUE(scales) << scales.error().text();
    std::vector<Revision> revisions;
    if (*current) revisions.push_back(std::move(**current));
    Effects effects;
    ASSERT_TRUE(control_->reconciler.start(std::move(revisions), std::move(*scales), effects));
    expect_what_was_accepted();
    if (control_->reconciler.compiled()) {
        Result<> written = control_->files.prepare(*control_->reconciler.compiled());
        if (written) written = control_->files.commit();
    }
    perform(std::move(effects));
    if (control_) send_table();
}

// A restart brings back what somebody was told of, or a change that was about to be told of.
void ReconcilerWorld::expect_what_was_accepted() {
    const std::optional<std::string> found = in_force();
    const bool fits = found == accepted_ || (found && being_committed_.contains(*found));
    EXPECT_TRUE(fits) << "found " << found.value_or("nothing") << "\naccepted "
                      << accepted_.value_or("nothing");
    accepted_ = found;
    being_committed_.clear();
}

void ReconcilerWorld::kill_control() {
    if (!control_ || is_calm()) return;
    scheduler_.cancel(control_->alarm);
    scheduler_.cancel(control_->telling);
    control_.reset();
    scheduler_.within(milliseconds(5), milliseconds(500), [this] { start_control(); });
}

// Everything dies. The supervisor has what it accepted last on a disk of its own.
void ReconcilerWorld::cut_the_power() {
    if (!control_ || is_calm()) return;
    kill_control();
    disk_.crash();
    for (const char* name : {"gateway", "broker"}) kill_component(name);
}

void ReconcilerWorld::later(Duration least, Duration most, std::function<void()> action) {
    scheduler_.within(least, most, [this, life = life_, action = std::move(action)] {
        if (control_ && life == life_) action();
    });
}

void ReconcilerWorld::perform(Effects effects) {
    for (Effect& effect : effects) control_->pending.push_back(std::move(effect));
    if (std::exchange(control_->performing, true)) return;
    while (!control_->pending.empty()) {
        if (trouble_.crashes && goes_wrong(80)) {
            scheduler_.random().once_in(2) ? kill_control() : cut_the_power();
            return;
        }
        Effect effect = std::move(control_->pending.front());
        control_->pending.pop_front();
        Effects more;
        std::visit([this, &more](auto& one) { perform(one, more); }, effect);
        for (Effect& one : more) control_->pending.push_back(std::move(one));
    }
    control_->performing = false;
    set_alarm();
}

void ReconcilerWorld::perform(Begin& effect, Effects&) {
    EXPECT_EQ(control_->running, 0u) << "one change at a time";
    EXPECT_GT(effect.ticket, control_->last_begun) << "in the order of asking";
    control_->running = control_->last_begun = effect.ticket;
    control_->waiting.at(effect.ticket).has_begun = true;
}

void ReconcilerWorld::perform(ChoosePlacement& effect, Effects& more) {
    Placement chosen;
    if (effect.password) chosen.broker_password = "s3cret";
    for (const std::string& service : effect.services) {
        chosen.service_addresses[service] = "127.0.0.1:" + std::to_string(next_port_++);
    }
    control_->reconciler.placed(std::move(chosen), scheduler_.now(), more);
}

void ReconcilerWorld::perform(WriteDraft& effect, Effects& more) {
    effect.revision.applied_at = "2026-11-21T14:00:00.000Z";
    Result<> written = control_->revisions.put(effect.revision);
    if (written) written = control_->files.prepare(effect.compiled);
    Result<std::string> drafted = effect.revision.applied_at;
    if (!written) drafted = std::unexpected(written.error());
    control_->reconciler.drafted(std::move(drafted), scheduler_.now(), more);
}

void ReconcilerWorld::perform(DropDraft& effect, Effects&) {
    control_->revisions.discard(effect.app, effect.number);
}

// The supervisor takes one message after the other. What it was sent reaches it though control dies.
void ReconcilerWorld::perform(AskSupervisor& effect, Effects&) {
    Random& random = scheduler_.random();
    const bool refuses = goes_wrong(6), is_silent = goes_wrong(12);
    const Duration work = goes_wrong(10) ? milliseconds(random.between(1'000, 60'000))
                                         : Duration(milliseconds(random.between(1, 50)));
    supervisor_.busy_until = std::max(supervisor_.busy_until, scheduler_.now()) + work;
    const std::uint64_t question = effect.question, life = life_;
    const auto answered = [this, question](Answer answer, Error cause) {
        Effects effects;
        control_->reconciler.answered(question, answer, std::move(cause), scheduler_.now(), effects);
        perform(std::move(effects));
    };
    scheduler_.at(supervisor_.busy_until, [=, this, holds = text_of(effect.desired)] {
        if (!refuses) supervisor_.holds = holds;
        if (is_silent || !control_ || life != life_) return;
        later(milliseconds(0), milliseconds(5),
              [=] { refuses ? answered(Answer::refused, refusal) : answered(Answer::accepted, {}); });
    });
    later(ask_timeout, ask_timeout, [=] { answered(Answer::unknown, refusal); });
}

void ReconcilerWorld::perform(Commit& effect, Effects& more) {
    Result<> done;
    if (effect.number) {
        done = control_->revisions.make_current("", *effect.number);
        if (done) std::ignore = control_->files.commit();
    }
    if (done && effect.scales) {
        Result<> saved = control_->scales.save(*effect.scales);
        if (!effect.number) done = saved;
    }
    control_->reconciler.committed(done, scheduler_.now(), more);
    if (done) being_committed_.insert(*in_force());
}

void ReconcilerWorld::perform(Announce& effect, Effects&) {
    control_->components.set(effect.compiled);
    tell_components();
}

void ReconcilerWorld::perform(Reply& effect, Effects&) {
    const auto waiting = control_->waiting.find(effect.ticket);
    ASSERT_NE(waiting, control_->waiting.end()) << "each is answered once";
    if (waiting->second.has_begun) {
        EXPECT_EQ(control_->running, effect.ticket);
        control_->running = 0;
    }
    control_->waiting.erase(waiting);
    if (!effect.outcome) return;
    accepted_ = in_force();
    being_committed_.clear();
}

void ReconcilerWorld::set_alarm() {
    scheduler_.cancel(control_->alarm);
    const Time deadline = control_->reconciler.deadline();
    if (deadline != Time::max()) control_->alarm = scheduler_.at(deadline, [this] { tick(); });
}

void ReconcilerWorld::tick() {
    const Time now = scheduler_.now();
    const bool again = control_->last_tick == now;
    control_->last_tick = now;
    control_->ticks_at_once = again ? control_->ticks_at_once + 1 : 1;
    ASSERT_LE(control_->ticks_at_once, ticks_at_once_max) << "the deadline stands still";
    Effects effects;
    control_->reconciler.tick(now, effects);
    perform(std::move(effects));
    if (!control_) return;
    for (const auto& [ticket, waiting] : control_->waiting) {
        EXPECT_TRUE(waiting.has_begun || waiting.since + Reconciler::wait_max > now)
            << "nobody waits in line past the end of it";
    }
}

// --- clients

Submission ReconcilerWorld::some_submission() {
    Random& random = scheduler_.random();
    Submission submission{.app = {}, .manifest = {}, .file = "havn.toml", .directory = "/srv/shop"};
    for (const char* name : {"api", "web"}) {
        if (random.once_in(4)) continue;
        manifest::Service& service = submission.manifest.services.emplace_back();
        service.name = name;
        service.command = "serve " + std::to_string(random.below(3));
        service.instances = static_cast<std::uint32_t>(random.between(1, 2));
    }
    submission.manifest.workers.emplace_back().name = "mail";
    submission.manifest.workers.back().command = "work";
    return submission;
}

void ReconcilerWorld::submit_something() {
    if (!control_) return;  // nobody answers; the client goes away
    Random& random = scheduler_.random();
    Change change = ApplyChange{some_submission(), random.once_in(8)};
    if (random.once_in(2)) {
        Counts counts;
        counts[random.once_in(2) ? "mail" : "web"] = static_cast<std::uint32_t>(random.below(5));
        if (random.once_in(4)) counts.begin()->second.reset();
        change = ScaleChange{"", std::move(counts)};
    }
    Effects effects;
    const Ticket ticket = control_->reconciler.submit(std::move(change), scheduler_.now(), effects);
    control_->waiting[ticket] = {.since = scheduler_.now()};
    perform(std::move(effects));
}

// --- gateway and broker

void ReconcilerWorld::start_component(const std::string& name) {
    Component& component = components_[name];
    component.pid = next_pid_++;
    component.holds = disk_.read(name);
    later(milliseconds(1), milliseconds(20), [this] { send_table(); });
}

void ReconcilerWorld::kill_component(const std::string& name) {
    if (is_calm() || components_[name].pid == 0) return;
    components_[name].pid = 0;
    components_[name].holds.reset();
    later(milliseconds(1), milliseconds(20), [this] { send_table(); });
    scheduler_.within(milliseconds(3), milliseconds(300), [this, name] { start_component(name); });
}

// The table as it is now; a change of it is told a moment later.
void ReconcilerWorld::send_table() {
    Json rows = Json::array();
    for (const auto& [name, component] : components_) {
        if (component.pid == 0) continue;
        rows.push_back({{"name", name}, {"kind", "platform"}, {"pid", component.pid}, {"state", "ready"}});
    }
    control_->components.on_table(rows);
    tell_components();
}

void ReconcilerWorld::tell_components() {
    scheduler_.cancel(control_->telling);
    if (control_->is_telling) return;
    std::optional<Components::Update> update = control_->components.next(scheduler_.now());
    if (update) return tell(std::move(*update));
    const Time due = control_->components.due();
    if (due != Time::max()) control_->telling = scheduler_.at(due, [this] { tell_components(); });
}

void ReconcilerWorld::tell(Components::Update update) {
    control_->is_telling = true;
    const bool refuses = goes_wrong(6), is_silent = goes_wrong(10);
    const auto answered = [this, update](Result<> answer) {
        control_->is_telling = false;
        control_->components.answered(update, answer, scheduler_.now());
        tell_components();
    };
    scheduler_.within(milliseconds(0), milliseconds(20), [=, this, life = life_] {
        // Whoever listens now may be another process than the one that was meant.
        Component& component = components_[update.name];
        if (component.pid != 0 && !refuses) component.holds = update.config.dump();
        if (!control_ || life != life_ || is_silent) return;
        const Error gone{Error::Kind::unavailable, "nobody listens", {}};
        const Error refused{Error::Kind::conflict, "'orders' is in the way", {}};
        if (component.pid == 0) return answered(std::unexpected(gone));
        refuses ? answered(std::unexpected(refused)) : answered({});
    });
    if (!is_silent) return;
    later(tell_timeout, tell_timeout,
          [=] { answered(std::unexpected(Error{Error::Kind::unavailable, "no answer", {}})); });
}

// --- what somebody holds

std::optional<std::string> ReconcilerWorld::in_force() const {
    if (!control_ || !control_->reconciler.compiled()) return std::nullopt;
    return text_of(control_->reconciler.compiled()->supervisor);
}

std::optional<std::string> ReconcilerWorld::gateway_in_force() const {
    if (!in_force()) return std::nullopt;
    return gateway::to_json(control_->reconciler.compiled()->gateway).dump();
}

std::optional<std::string> ReconcilerWorld::broker_in_force() const {
    if (!in_force()) return std::nullopt;
    return broker::to_json(control_->reconciler.compiled()->broker).dump();
}

std::optional<std::string> ReconcilerWorld::component_holds(const std::string& name) const {
    return components_.at(name).holds;
}

std::optional<std::string> ReconcilerWorld::store_holds() {
    SimRevisionStore revisions(disk_);
    Result<std::optional<Revision>> current = revisions.current("");
    Result<ScaleTable> scales = SimScaleStore(disk_).load();
    if (!current || !scales) return "what cannot be read";
    if (!*current) return std::nullopt;
    Reconciler reader;
    Effects effects;
    if (!reader.start({**current}, *scales, effects)) return "what cannot be compiled";
    return text_of(reader.compiled()->supervisor);
}

}  // namespace havn::control
