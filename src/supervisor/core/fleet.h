// All instances of the platform and of the application: what runs, what shall run, and what leads from one to
// the other. Pure: events and the time go in, effects come out.
//
//  - A program that changed is replaced instance by instance; a service's replacement is ready before the old
//  one
//    is drained, a worker (and a part of the platform) ends before its replacement starts. An instance that
//    is not ready is replaced at once. A change of `instances` touches no sibling.
//  - A first start waits until each program in depends_on has a ready instance; a restart does not wait.
//  - A service that is ready is taken out of the endpoints and drained (until the gateway says so, at most
//    stop_timeout), then gets SIGTERM, and after stop_timeout SIGKILL for its whole tree.
//  - A service with a health check that fails it `retries` times in a row leaves the endpoints, comes back
//  with the
//    first success, and is restarted after start_timeout without one.
//  - Stopping everything goes gateway and workers, services, broker, control.
//
// After every call `take_effects` holds what is to be done, and `wake_at` says when `tick` is due.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "supervisor/core/effect.h"
#include "supervisor/core/unit.h"

namespace havn::supervisor {

struct Endpoint {
    std::string address;
    std::uint32_t instance = 1;
    bool operator==(const Endpoint&) const = default;
};

struct Endpoints {
    std::uint64_t version = 0;
    std::map<std::string, std::vector<Endpoint>> services;  // every service of the desired state, maybe empty
};

class Fleet {
  public:
    explicit Fleet(std::uint64_t seed) : random_(seed) {}

    // The platform with no application: control alone. To be called once, before or instead of `apply`.
    void begin(Moment now);
    void apply(const Desired& desired, Moment now);
    // `instance` 0 means all. Error::not_found names what there is.
    Result<> restart(const std::string& name, std::uint32_t instance, Moment now);
    void stop_all(Moment now);
    bool stopping() const { return stopping_; }
    void kill_all(Moment now);  // stop_all without patience

    struct Process {
        int pid;
        std::uint64_t start_time;
        std::uint16_t port;  // 0 unless the unit is a service
        std::string cookie;
    };
    void spawned(UnitId unit, Process process, Moment now);
    // The life is over, or never began: then `error` says why.
    void ended(UnitId unit, const std::string& exit, const std::string& error, Moment now);
    void probed(UnitId unit, bool healthy, const std::string& found, Moment now);
    void reported_ready(UnitId unit, Moment now);  // by a part, over its link
    void drained(const std::string& endpoint, Moment now);
    void tick(Moment now);
    Time wake_at() const;

    // Takes over a unit of the supervisor that was here before; `begin` or `apply` follows.
    void adopt(Unit unit, Moment now);
    void continue_endpoints(std::uint64_t version) { endpoints_.version = version; }

    std::vector<Effect> take_effects() { return std::exchange(effects_, {}); }
    const std::map<UnitId, Unit>& units() const { return units_; }
    const Unit* find(UnitId id) const;
    const Endpoints& endpoints() const { return endpoints_; }
    bool uses_port(std::uint16_t port) const;

  private:
    struct Target {
        Role role;
        std::shared_ptr<const Program> program;
        std::uint32_t instances;
    };

    void set_targets(const Desired* desired);
    void add_part(const char* name, milliseconds stop_timeout);
    void fire(Unit& unit, Event event, Moment now);
    void perform(Unit& unit, Action action, Moment now);
    void arm(Unit& unit, Moment now);
    void after_life(Unit& unit, Moment now);
    void time_limit_passed(Unit& unit, Moment now);
    void reconcile(Moment now);
    bool reconcile_once(Moment now);
    bool retire_superfluous(Moment now);
    bool reconcile_slot(const Target& target, std::uint32_t instance, Moment now);
    bool may_replace(const Target& target, std::uint32_t instance) const;
    bool is_outdated(const Unit& unit, const Target& target) const;
    bool advance_stop(Moment now);
    bool is_rolling(const Target& target) const;
    void create(const Target& target, std::uint32_t instance, Moment now);
    bool retire(Unit& unit, Moment now);
    bool start_waiting(Moment now);
    bool dependencies_met(const Unit& unit) const;
    void publish();
    bool gateway_runs() const;
    bool remove_gone();

    template <class... Args>
    void say(log::Level level, fmt::format_string<Args...> format, Args&&... args) {
        effects_.push_back(Say{level, fmt::format(format, std::forward<Args>(args)...)});
    }

    Random random_;
    std::vector<Target> targets_;
    std::map<UnitId, Unit> units_;
    UnitId next_id_ = 1;
    std::map<std::string, std::uint32_t>
        asked_restarts_;  // by label: what the next unit starts counting from
    Endpoints endpoints_;
    std::vector<Effect> effects_;
    bool stopping_ = false;
    bool finished_ = false;
};

}  // namespace havn::supervisor
