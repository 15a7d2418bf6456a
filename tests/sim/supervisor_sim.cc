// A supervisor that dies at any point of what it does, and the next one, which finds on the disk and from
// the keeper what it left: no life is started twice or forgotten, none that was written down is lost, and
// what was accepted is reached all the same.
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "sim/scheduler.h"
#include "sim/seeds.h"
#include "sim/supervisor_host.h"
#include "supervisor/core/state/adoption.h"

namespace havn::supervisor {
namespace {

// What stays when a supervisor dies.
struct Outside {
    explicit Outside(std::uint64_t seed) : scheduler(seed), crash(random()), disk(random(), crash) {}
    Random& random() { return scheduler.random(); }
    Moment now() const { return {scheduler.now(), scheduler.wall_now()}; }

    sim::Scheduler scheduler;
    CrashPoints crash;
    SimDisk disk;
    SimHost host;
    std::map<int, Exit> exits;  // the keeper's: of what ended while there was no supervisor
    std::optional<Desired> accepted;
    std::set<std::string> written;  // handles of lives that are on the disk, and that nobody has ended since
};

// Lives of the simulated host. Starts may take their time, ends may be told late.
class SimRuntime final : public Runtime {
  public:
    SimRuntime(Outside& outside, RuntimeObserver& observer, std::string run)
        : outside_(outside), observer_(observer), run_(std::move(run)) {}

    Result<> start(const Instance& instance, const StartPipes&) override {
        outside_.crash.here();
        if (outside_.random().once_in(15)) return fail(Error::Kind::unavailable, "no process to be had");
        const SimProcess process{"", instance.label(), instance.id, instance.role};
        if (outside_.random().once_in(2)) {
            begin(process);
            return {};
        }
        starting_.insert(instance.id);
        later(milliseconds(300), [this, process] {
            if (starting_.erase(process.instance) > 0) begin(process);
        });
        return {};
    }

    void terminate(InstanceId instance) override {
        const std::optional<int> pid = end_asked(instance);
        if (!pid || outside_.random().once_in(4)) return;  // it does not listen
        later(seconds(2), [this, pid = *pid, start = lives_.at(instance).start_time] { end_of(pid, start); });
    }
    void kill(InstanceId instance) override {
        const std::optional<int> pid = end_asked(instance);
        if (!pid) return;
        later(milliseconds(50),
              [this, pid = *pid, start = lives_.at(instance).start_time] { end_of(pid, start); });
    }

    bool adopt(const Instance& instance) override {
        outside_.crash.here();
        if (!outside_.host.lives(instance.life.pid, instance.life.start_time)) return false;
        EXPECT_EQ(outside_.host.living().at(instance.life.pid).handle, instance.life.handle);
        lives_[instance.id] = instance.life;
        return true;
    }
    void forget(InstanceId) override {}
    void end_unknown(const std::set<std::string>& known) override {
        outside_.crash.here();
        std::vector<int> unknown;
        for (const auto& [pid, process] : outside_.host.living()) {
            if (!known.contains(process.handle)) unknown.push_back(pid);
        }
        for (const int pid : unknown) outside_.host.end(pid);
    }
    std::optional<std::string> impostor(InstanceId) override { return std::nullopt; }
    std::string answers_elsewhere(InstanceId) override { return ""; }
    std::optional<Usage> usage(InstanceId) override { return std::nullopt; }

    // A process ended: by itself, or because somebody wanted it.
    void end_of(int pid, std::uint64_t start_time) {
        if (!outside_.host.lives(pid, start_time)) return;
        const SimProcess process = outside_.host.living().at(pid);
        outside_.host.end(pid);
        outside_.written.erase(process.handle);
        if (!lives_.contains(process.instance) || lives_.at(process.instance).pid != pid) return;
        later(milliseconds(200), [this, id = process.instance] {
            lives_.erase(id);
            const bool known = outside_.random().once_in(2);
            observer_.life_ended(id, known ? Exit("exit 1", 1) : Exit("not known"), "");
            if (!known) later(milliseconds(200), [this, id] { observer_.exit_known(id, Exit("exit 1", 1)); });
        });
    }
    const std::map<InstanceId, Started>& lives() const { return lives_; }

  private:
    void begin(SimProcess process) {
        process.handle = run_ + "." + std::to_string(outside_.random().next());
        const InstanceId id = process.instance;
        const bool is_service = process.role == Role::service;
        Started life;
        life.handle = process.handle;
        life.pid = outside_.host.spawn(std::move(process));
        life.start_time = outside_.host.living().at(life.pid).start_time;
        if (is_service) life.address = "10.0.0." + std::to_string(life.start_time) + ":80";
        lives_[id] = life;
        outside_.crash.here();
        observer_.life_started(id, life);
    }

    // Its process, from now on no longer one that must stay. A start under way is given up.
    std::optional<int> end_asked(InstanceId instance) {
        if (starting_.erase(instance) > 0) {
            later(milliseconds(10),
                  [this, instance] { observer_.life_ended(instance, Exit("given up"), ""); });
        }
        const auto life = lives_.find(instance);
        if (life == lives_.end()) return std::nullopt;
        outside_.written.erase(life->second.handle);
        return life->second.pid;
    }

    void later(Duration most, std::function<void()> action) {
        outside_.scheduler.within(Duration(0), most,
                                  [alive = std::weak_ptr(alive_), action = std::move(action)] {
                                      if (!alive.expired()) action();
                                  });
    }

    Outside& outside_;
    RuntimeObserver& observer_;
    std::string run_;
    std::map<InstanceId, Started> lives_;
    std::set<InstanceId> starting_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// One supervisor, from its start to its crash: the order in which the shell does things.
class SimSupervisor final : RuntimeObserver {
  public:
    SimSupervisor(Outside& outside, std::string run)
        : outside_(outside), table_(outside.random().next()), runtime_(outside, *this, run) {}

    void take_charge(const std::optional<SavedState>& saved) {
        log_ = std::make_unique<StateLog>(outside_.disk, saved ? saved->run : "run", saved ? saved->base : 0);
        Adoption adoption(table_, runtime_);
        const std::set<std::string> must_stay = outside_.written;
        if (saved) {
            adoption.adopt(*saved, outside_.now(), [this](const Instance& part) {
                // Asked, it says again that it is ready.
                if (part.state == State::starting) become_ready(part.id);
                return true;
            });
            expect_all_adopted(must_stay);
        }
        note_written(log_->write_base(table_, {}));
        if (outside_.accepted) {
            table_.apply(*outside_.accepted, outside_.now());
        } else {
            table_.begin(outside_.now());
        }
        adoption.report_ends(
            [this](int pid) {
                const auto exit = outside_.exits.find(pid);
                return exit == outside_.exits.end() ? std::nullopt : std::optional(exit->second);
            },
            outside_.now());
        outside_.exits.clear();
        finish();
    }

    void apply(const Desired& desired) {
        outside_.crash.here();
        outside_.accepted = desired;
        outside_.crash.here();
        table_.apply(desired, outside_.now());
        finish();
    }
    void restart(const std::string& name) {
        std::ignore = table_.restart("", name, 0, outside_.now());
        finish();
    }
    // The host ends a process of its own accord.
    void strike(int pid, std::uint64_t start_time) { runtime_.end_of(pid, start_time); }

    const ProcessTable& table() const { return table_; }
    const SimRuntime& runtime() const { return runtime_; }

  private:
    void expect_all_adopted(const std::set<std::string>& must_stay) {
        std::set<std::string> adopted, living;
        for (const auto& [id, life] : runtime_.lives()) adopted.insert(life.handle);
        for (const auto& [pid, process] : outside_.host.living()) {
            living.insert(process.handle);
            EXPECT_TRUE(adopted.contains(process.handle)) << process.label << " is forgotten";
        }
        for (const std::string& handle : must_stay) {
            EXPECT_TRUE(living.contains(handle)) << "a life that was written down was ended by the take-over";
        }
    }

    void note_written(const Result<>& written) {
        if (!written) return;
        for (const auto& [id, instance] : table_.instances()) note_written(instance);
    }
    void note_written(const Instance& instance) {
        if (outside_.host.lives(instance.life.pid, instance.life.start_time) && instance.wanted) {
            outside_.written.insert(instance.life.handle);
        }
    }

    void life_started(InstanceId id, const Started& started) override {
        table_.started(id, started, outside_.now());
        const Instance* const instance = table_.find(id);
        if (instance && log_->started(*instance) && instance->state == State::starting) {
            note_written(*instance);
        }
        if (instance && instance->role == Role::platform) become_ready(id);
        finish();
    }
    void life_ended(InstanceId id, const Exit& exit, const std::string& error) override {
        table_.ended(id, exit, error, outside_.now());
        finish();
    }
    void exit_known(InstanceId id, const Exit& exit) override {
        table_.exit_known(id, exit);
        changed();
    }

    void finish() {
        if (performing_) return;
        performing_ = true;
        for (std::vector<Effect> effects = table_.take_effects(); !effects.empty();
             effects = table_.take_effects()) {
            for (const Effect& effect : effects) perform(effect);
        }
        performing_ = false;
        std::ignore = table_.take_transitions();
        changed();
        wake();
    }

    void perform(const Effect& effect) {
        if (const auto* spawn = std::get_if<Spawn>(&effect)) return begin(spawn->instance);
        if (const auto* end = std::get_if<Terminate>(&effect)) runtime_.terminate(end->instance);
        if (const auto* end = std::get_if<KillTree>(&effect)) runtime_.kill(end->instance);
        if (const auto* gone = std::get_if<Forget>(&effect)) runtime_.forget(gone->instance);
        if (const auto* probe = std::get_if<Probe>(&effect)) answer(probe->instance);
    }

    void begin(InstanceId id) {
        const Instance* const instance = table_.find(id);
        if (!instance || instance->state != State::starting) return;
        const Result<> started = runtime_.start(*instance, {});
        if (!started) table_.ended(id, "", started.error().text(), outside_.now());
    }

    // What a part says over its link, some time after its start.
    void become_ready(InstanceId part) {
        later(seconds(1), [this, part] {
            table_.reported_ready(part, outside_.now());
            finish();
        });
    }

    void answer(InstanceId id) {
        const bool healthy = !outside_.random().once_in(10);
        later(milliseconds(100), [this, id, healthy] {
            const Instance* const instance = table_.find(id);
            if (!instance || instance->life.pid == 0) return;
            table_.probed(id, healthy || instance->role == Role::platform, "no", outside_.now());
            finish();
        });
    }

    void changed() {
        if (write_pending_) return;
        write_pending_ = true;
        later(milliseconds(50), [this] {
            write_pending_ = false;
            std::ignore = log_->write(table_, table_.take_touched(), {});
        });
    }

    void wake() {
        if (table_.wake_at() == Time::max() || table_.wake_at() == waking_at_) return;
        waking_at_ = table_.wake_at();
        outside_.scheduler.at(waking_at_, [this, at = waking_at_, alive = std::weak_ptr(alive_)] {
            if (alive.expired() || at != waking_at_) return;
            waking_at_ = Time::max();
            table_.tick(outside_.now());
            finish();
        });
    }

    void later(Duration most, std::function<void()> action) {
        outside_.scheduler.within(Duration(0), most,
                                  [alive = std::weak_ptr(alive_), action = std::move(action)] {
                                      if (!alive.expired()) action();
                                  });
    }

    Outside& outside_;
    ProcessTable table_;
    SimRuntime runtime_;
    std::unique_ptr<StateLog> log_;
    Time waking_at_ = Time::max();
    bool performing_ = false;
    bool write_pending_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// The keeper, and whoever disturbs.
class World {
  public:
    explicit World(std::uint64_t seed) : outside_(seed) {}

    void run() {
        start_supervisor();
        for (const Time end = outside_.scheduler.now() + seconds(20); outside_.scheduler.now() < end;) {
            step_until(outside_.scheduler.now() + milliseconds(outside_.random().below(2'000)));
            guarded([this] { disturb(); });
        }
        outside_.crash.allow(false);
        outside_.disk.allow_full(false);
        if (!supervisor_) start_supervisor();
        step_until(outside_.scheduler.now() + seconds(250));
        expect_what_was_accepted();
    }

  private:
    void guarded(const std::function<void()>& action) {
        try {
            action();
        } catch (const Crash&) {
            supervisor_.reset();
            outside_.scheduler.within(Duration(0), milliseconds(100), [this] {
                if (!supervisor_) start_supervisor();
            });
        }
    }

    void step_until(Time end) {
        bool passed = false;
        outside_.scheduler.at(end, [&passed] { passed = true; });
        while (!passed) guarded([this] { outside_.scheduler.step(); });
    }

    void start_supervisor() {
        guarded([this] {
            std::optional<SavedState> saved;
            if (outside_.disk.base()) {
                Result<SavedState> read = saved_state_from_json(parse_json(*outside_.disk.base()).value());
                ASSERT_TRUE(read.has_value()) << read.error().message;
                add_journal(*read, outside_.disk.journal());
                saved = std::move(*read);
            } else {
                // Nothing was started before the first base.
                EXPECT_TRUE(outside_.host.living().empty());
            }
            supervisor_ = std::make_unique<SimSupervisor>(outside_, "run");
            supervisor_->take_charge(saved);
        });
    }

    void disturb() {
        Random& random = outside_.random();
        if (!supervisor_ || random.once_in(6)) {
            if (random.once_in(3)) strike_one();
            if (random.once_in(2)) throw Crash{};
            return;
        }
        if (random.once_in(3)) return strike_one();
        if (random.once_in(4)) return supervisor_->restart(random.once_in(2) ? "web" : "gateway");
        if (random.once_in(3)) supervisor_->apply(some_configuration());
    }

    void strike_one() {
        const std::map<int, SimProcess>& living = outside_.host.living();
        if (living.empty()) return;
        const auto struck =
            std::next(living.begin(), static_cast<std::ptrdiff_t>(outside_.random().below(living.size())));
        const auto [pid, process] = *struck;
        if (supervisor_) return supervisor_->strike(pid, process.start_time);
        outside_.written.erase(process.handle);
        outside_.host.end(pid);
        if (outside_.random().once_in(2)) outside_.exits[pid] = Exit("exit 1", 1);  // or nobody saw it
    }

    Desired some_configuration() {
        Random& random = outside_.random();
        Desired desired;
        desired.revision = ++revision_;
        for (const char* name : {"web", "api", "job"}) {
            if (random.once_in(5)) continue;
            Program program;
            program.name = name;
            program.kind = name == std::string("job") ? Kind::worker : Kind::service;
            program.instances = static_cast<std::uint32_t>(random.below(4));
            program.command = random.once_in(3) ? "one" : "another";
            program.directory = "/";
            program.stop_timeout = seconds(3);
            desired.programs.push_back(program);
        }
        return desired;
    }

    void expect_what_was_accepted() {
        std::map<std::string, std::size_t> running, wanted{{"control", 1}};
        if (outside_.accepted) {
            wanted["broker"] = wanted["gateway"] = 1;
            for (const Program& program : outside_.accepted->programs) {
                if (program.instances > 0) wanted[program.name] = program.instances;
            }
        }
        for (const auto& [id, instance] : supervisor_->table().instances()) {
            EXPECT_EQ(instance.state, State::ready) << instance.label() << " " << instance.error;
            EXPECT_TRUE(outside_.host.lives(instance.life.pid, instance.life.start_time)) << instance.label();
            ++running[instance.name];
        }
        EXPECT_EQ(running, wanted);
        EXPECT_EQ(outside_.host.living().size(), supervisor_->table().instances().size())
            << "a process that nobody knows";
    }

    Outside outside_;
    std::unique_ptr<SimSupervisor> supervisor_;
    std::uint64_t revision_ = 0;
};

TEST(Supervisor, one_that_dies_at_any_point_is_followed_by_one_that_goes_on) {
    sim::for_seeds(150, [](std::uint64_t seed) { World(seed).run(); });
}

}  // namespace
}  // namespace havn::supervisor
