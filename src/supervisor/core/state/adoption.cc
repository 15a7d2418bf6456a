#include "supervisor/core/state/adoption.h"

#include <utility>

namespace havn::supervisor {

void Adoption::adopt(const SavedState& saved, Moment now,
                     const std::function<bool(const Instance&)>& is_connected) {
    table_.continue_endpoints(saved.endpoints_version + endpoint_versions_skipped);
    std::set<std::string> known;
    for (const Instance& instance : saved.instances) {
        known.insert(instance.life.handle);
        table_.adopt(instance, now);
        const Instance& adopted = *table_.find(instance.id);
        if (!runtime_.adopt(adopted)) {
            if (has_process(adopted.state)) ended_.push_back({adopted.id, adopted.life.pid});
            continue;
        }
        ++alive_;
        if (adopted.role == Role::platform && !is_connected(adopted)) runtime_.kill(adopted.id);
    }
    runtime_.end_unknown(known);
}

void Adoption::report_ends(const ExitOf& exit_of, Moment now) {
    for (const Ended& ended : std::exchange(ended_, {})) {
        const std::optional<Exit> exit = exit_of(ended.pid);
        table_.ended(ended.instance, exit.value_or(Exit("not known: it ended while there was no supervisor")),
                     "", now);
    }
}

}  // namespace havn::supervisor
