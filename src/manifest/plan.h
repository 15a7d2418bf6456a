// What applying a manifest would change, and what each change does to what is running.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "manifest/model.h"

namespace havn::manifest {

struct Change {
    enum class Action { add, change, remove };
    struct Detail {
        std::string key;       // "command", "healthcheck.path"
        std::string from, to;  // as they would be written in havn.toml; "(none)" where nothing was or will be
        bool operator==(const Detail&) const = default;
    };

    Action action = Action::change;
    std::string subject;  // "service.storefront", "route./buy", "gateway", "app"
    std::vector<Detail> details;
    std::vector<std::string> effects;  // "starts 1 more instance; running ones are not touched"
    bool operator==(const Change&) const = default;
};

struct Plan {
    std::vector<Change> changes;  // platform, queues, services, workers, routes; removals last
    bool empty() const { return changes.empty(); }
};

// `applied` is empty when nothing has been applied yet: everything is an addition.
Plan diff(const std::optional<Manifest>& applied, const Manifest& wanted);

std::string render(const Plan& plan);  // for people, ends in a newline; "no changes" when empty
Json to_json(const Plan& plan);

}  // namespace havn::manifest
