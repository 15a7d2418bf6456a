#include "manifest/plan.h"

#include <fmt/format.h>

#include <set>

#include "manifest/keys.h"
#include "manifest/syntax/redact.h"
#include "manifest/syntax/tree.h"

namespace havn::manifest {
namespace {

constexpr std::string_view none = "(none)";

std::string_view name(Change::Action action) {
    switch (action) {
        case Change::Action::add:
            return "add";
        case Change::Action::change:
            return "change";
        case Change::Action::remove:
            return "remove";
    }
    return "change";
}

std::string counted(std::uint32_t number, std::string_view noun) {
    return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

Program* program_of(Target target) {
    if (auto* service = std::get_if<Service*>(&target)) return *service;
    if (auto* worker = std::get_if<Worker*>(&target)) return *worker;
    return nullptr;
}

Json shown_value(const Key& key, Target target) {
    if (key.applies && !key.applies(target)) return {};
    return value_of(key, key.slot(target));
}

Json whole_table(std::string_view pattern, Target target) {
    Json whole = Json::object();
    for (const Key* key : keys_of(pattern)) whole[key->name] = value_of(*key, key->slot(target));
    return whole;
}

// The passwords of URLs are not shown.
void add_value(Change& change, const std::string& name, const Json& before, const Json& after) {
    std::string from = redact_urls(toml_text(before)), to = redact_urls(toml_text(after));
    if (from == to) to += " (changed where it is not shown)";
    change.details.push_back({name, std::move(from), std::move(to)});
}

// What `env` sets may be secret: not its values are shown, but that they are set, or set anew.
void add_variables(Change& change, const std::string& name, const Json& before, const Json& after) {
    std::set<std::string> variables;
    for (const Json* side : {&before, &after}) {
        if (!side->is_object()) continue;
        for (const auto& [variable, value] : side->items()) variables.insert(variable);
    }
    for (const std::string& variable : variables) {
        const bool was = before.is_object() && before.contains(variable);
        const bool is = after.is_object() && after.contains(variable);
        if (was && is && before[variable] == after[variable]) continue;
        change.details.push_back({name + "." + variable, std::string(was ? "(set)" : none),
                                  std::string(!is   ? none
                                              : was ? "(set anew)"
                                                    : "(set)")});
    }
}

// Two values of one struct, seen along the table of keys.
class Comparison {
  public:
    explicit Comparison(Change& change) : change_(change) {}

    void compare(std::string_view pattern, Target from, Target to, const std::string& prefix) {
        for (const Key* key : keys_of(pattern)) {
            const Json before = shown_value(*key, from), after = shown_value(*key, to);
            if (before == after) continue;
            if (key->type == Type::env) {
                add_variables(change_, prefix + std::string(key->name), before, after);
            } else {
                add_value(change_, prefix + std::string(key->name), before, after);
            }
            effects_.insert(key->effect);
        }
        for (const Section* child : children(pattern)) {
            if (!child->named) compare_child(*child, from, to, prefix);
        }
    }

    const std::set<Effect>& effects() const { return effects_; }

  private:
    // A nested table that is on one side only is shown whole, as it would be written.
    void compare_child(const Section& child, Target from, Target to, const std::string& prefix) {
        const auto before = child.each(from), after = child.each(to);
        const std::string path = prefix + std::string(child.key);
        if (!before.empty() && !after.empty()) {
            return compare(child.pattern, before[0].second, after[0].second, path + ".");
        }
        if (before.empty() && after.empty()) return;
        for (const Key* key : keys_of(child.pattern)) effects_.insert(key->effect);
        const auto text =
            toml_text(whole_table(child.pattern, before.empty() ? after[0].second : before[0].second));
        change_.details.push_back(
            {path, before.empty() ? std::string(none) : text, after.empty() ? std::string(none) : text});
    }

    Change& change_;
    std::set<Effect> effects_;
};

// How the number changes. Those that stay are left alone, unless they are restarted for another reason.
void add_instances_effect(Change& change, std::uint32_t before, std::uint32_t after) {
    const bool restarts = !change.effects.empty();
    if (after > before) {
        change.effects.push_back(
            fmt::format("starts {} more instance{}{}", after - before, after - before == 1 ? "" : "s",
                        restarts || before == 0 ? "" : "; running ones are not touched"));
    } else {
        change.effects.push_back(fmt::format("stops {}{}", counted(before - after, "instance"),
                                             restarts || after == 0 ? "" : "; the others are not touched"));
    }
}

void add_effect(Change& change, Effect effect, Target from, Target to) {
    const Program* before = program_of(from);
    const Program* after = program_of(to);
    switch (effect) {
        case Effect::none:
            break;
        case Effect::restart:
            if (before->instances > 0 && after->instances > 0) {
                change.effects.push_back(fmt::format(
                    "restarts {} ({}){}", after->name,
                    counted(std::min(before->instances, after->instances), "instance"),
                    std::min(before->instances, after->instances) > 1 ? ", one after the other" : ""));
            }
            break;
        case Effect::instances:
            add_instances_effect(change, before->instances, after->instances);
            break;
        case Effect::requests:
            change.effects.push_back("applies to new requests");
            break;
        case Effect::edge_listeners:
            change.effects.push_back("opens and closes listening sockets; connections that are open stay");
            break;
        case Effect::metrics_listeners:
            change.effects.push_back("opens and closes listening sockets of /metrics");
            break;
        case Effect::broker_address:
            change.effects.push_back("restarts every service and worker: their $AMQP_URL changes");
            break;
        case Effect::messages:
            change.effects.push_back("applies to messages from now on");
            break;
    }
}

// Empty: it adds nothing.
std::string effect_of_adding(Target target) {
    if (const Program* program = program_of(target)) {
        return "starts " + counted(program->instances, "instance");
    }
    if (std::holds_alternative<Route*>(target)) return "applies to new requests";
    if (std::holds_alternative<Queue*>(target)) return "declares a durable queue";
    if (const auto* gateway = std::get_if<Gateway*>(&target)) {
        return "listens on " + toml_text((*gateway)->listen);
    }
    if (const auto* metrics = std::get_if<Metrics*>(&target)) {
        return (*metrics)->listen.empty() ? "" : "answers GET /metrics on " + toml_text((*metrics)->listen);
    }
    const Broker& broker = *std::get<Broker*>(target);
    if (!broker.url.empty()) return "uses the broker at `url`";
    const std::string listens = "listens on " + toml_text(broker.listen);
    return broker.users.contains("guest") ? listens : listens + "; guest may log in from this host only";
}

std::string effect_of_removing(Target target) {
    if (const Program* program = program_of(target)) {
        return "stops " + counted(program->instances, "instance");
    }
    if (std::holds_alternative<Queue*>(target)) {
        return "the queue and its messages stay; without the limits of the manifest";
    }
    return "applies to new requests";
}

// What is set apart from the defaults, as the details of an addition.
void list_set_keys(Change& change, std::string_view pattern, Target target, const std::string& prefix) {
    const auto list = [&](std::string_view key, const Json& value) {
        add_value(change, prefix + std::string(key), {}, value);
    };
    for (const Key* key : keys_of(pattern)) {
        const Json value = shown_value(*key, target);
        if (value.is_null() || value == default_of(*key, pattern)) continue;
        if (key->type == Type::env) {
            add_variables(change, prefix + std::string(key->name), {}, value);
        } else {
            list(key->name, value);
        }
    }
    for (const Section* child : children(pattern)) {
        for (const auto& [name, nested] : child->each(target)) {
            if (child->optional) {
                list(child->key, whole_table(child->pattern, nested));
            } else {
                list_set_keys(change, child->pattern, nested, prefix + std::string(child->key) + ".");
            }
        }
    }
}

class Differ {
  public:
    Differ(const std::optional<Manifest>& applied, const Manifest& wanted)
        : is_first_(!applied), from_(applied.value_or(Manifest{})), to_(wanted) {}

    Plan run() {
        diff_top();
        for (const Section* section : children("")) {
            if (section->named) {
                diff_named(*section);
            } else {
                diff_plain(*section);
            }
        }
        for (Change& change : removals_) plan_.changes.push_back(std::move(change));
        return std::move(plan_);
    }

  private:
    // The keys at the top are changes of their own: "app", "residency".
    void diff_top() {
        for (const Key* key : keys_of("")) {
            const Json before = value_of(*key, key->slot(&from_)), after = value_of(*key, key->slot(&to_));
            if (before == after) continue;
            Change change{is_first_ ? Change::Action::add : Change::Action::change,
                          std::string(key->name),
                          {{std::string(key->name), is_first_ ? std::string(none) : toml_text(before),
                            toml_text(after)}},
                          {}};
            plan_.changes.push_back(std::move(change));
        }
    }

    void diff_plain(const Section& section) {
        Change change{
            is_first_ ? Change::Action::add : Change::Action::change, std::string(section.key), {}, {}};
        const Target from = section.open(&from_, ""), to = section.open(&to_, "");
        if (is_first_) {
            list_set_keys(change, section.pattern, to, "");
            change.effects = {effect_of_adding(to)};
            if (change.effects.front().empty()) return;
        } else {
            Comparison comparison(change);
            comparison.compare(section.pattern, from, to, "");
            for (const Effect effect : comparison.effects()) add_effect(change, effect, from, to);
        }
        if (is_first_ || !change.details.empty()) plan_.changes.push_back(std::move(change));
    }

    void diff_named(const Section& section) {
        std::map<std::string, Target> before;
        for (const auto& [name, target] : section.each(&from_)) before.emplace(name, target);
        for (const auto& [name, target] : section.each(&to_)) {
            const auto old = before.find(name);
            if (old == before.end()) {
                add(section, name, target);
                continue;
            }
            change(section, name, old->second, target);
            before.erase(old);
        }
        for (const auto& [name, target] : before) {
            removals_.push_back(
                {Change::Action::remove, subject(section, name), {}, {effect_of_removing(target)}});
        }
    }

    void change(const Section& section, const std::string& name, Target from, Target to) {
        Change change{Change::Action::change, subject(section, name), {}, {}};
        Comparison comparison(change);
        comparison.compare(section.pattern, from, to, "");
        for (const Effect effect : comparison.effects()) add_effect(change, effect, from, to);
        if (!change.details.empty()) plan_.changes.push_back(std::move(change));
    }

    void add(const Section& section, const std::string& name, Target target) {
        Change change{Change::Action::add, subject(section, name), {}, {effect_of_adding(target)}};
        list_set_keys(change, section.pattern, target, "");
        plan_.changes.push_back(std::move(change));
    }

    static std::string subject(const Section& section, const std::string& name) {
        return fmt::format("{}.{}", section.key, name);
    }

    bool is_first_;
    Manifest from_, to_;
    Plan plan_;
    std::vector<Change> removals_;
};

std::string_view mark(Change::Action action) {
    return action == Change::Action::add ? "+" : action == Change::Action::change ? "~" : "-";
}

std::string summary(const Plan& plan) {
    std::array<std::size_t, 3> counts{};
    for (const Change& change : plan.changes) ++counts[static_cast<std::size_t>(change.action)];
    return fmt::format("{} to add, {} to change, {} to remove\n", counts[0], counts[1], counts[2]);
}

}  // namespace

Plan diff(const std::optional<Manifest>& applied, const Manifest& wanted) {
    return Differ(applied, wanted).run();
}

std::string render(const Plan& plan) {
    if (plan.empty()) return "no changes\n";
    std::string text;
    for (const Change& change : plan.changes) {
        text += fmt::format("{} {}\n", mark(change.action), change.subject);
        for (const auto& [key, from, to] : change.details) {
            text += from == none ? fmt::format("    {} = {}\n", key, to)
                                 : fmt::format("    {}: {} → {}\n", key, from, to);
        }
        for (const std::string& effect : change.effects) text += fmt::format("    → {}\n", effect);
    }
    return text + summary(plan);
}

Json to_json(const Plan& plan) {
    Json changes = Json::array();
    for (const Change& change : plan.changes) {
        Json details = Json::array();
        for (const auto& [key, from, to] : change.details) {
            details.push_back({{"key", key}, {"from", from}, {"to", to}});
        }
        changes.push_back({{"action", name(change.action)},
                           {"subject", change.subject},
                           {"details", std::move(details)},
                           {"effects", change.effects}});
    }
    return {{"changes", std::move(changes)}};
}

}  // namespace havn::manifest
