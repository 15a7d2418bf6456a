#include "manifest/check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text/dependency_cycles.h"
#include "base/text/program_name.h"
#include "manifest/names.h"
#include "manifest/syntax/amqp_url.h"
#include "manifest/syntax/forms.h"

namespace havn::manifest {
namespace {

constexpr std::size_t sockets_max = 250;  // of the gateway; io::Link::descriptors_max

class Checker {
  public:
    explicit Checker(Draft& draft) : draft_(draft), manifest_(draft.manifest), places_(draft.places) {}

    void run() {
        sort_all();
        for (Service& service : manifest_.services) check_program(service, "service");
        for (Worker& worker : manifest_.workers) check_worker(worker);
        check_one_name_each();
        check_circles();
        for (Route& route : manifest_.routes) check_route(route);
        check_balances();
        check_listen();
        check_broker();
        if (manifest_.services.empty() && manifest_.workers.empty() && !draft_.has_errors()) {
            draft_.warn({draft_.file, 0, 0}, "there is nothing to start",
                        "add [service.NAME] or [worker.NAME] with a command");
        }
    }

  private:
    template <class Named>
    static std::vector<std::string_view> names_of(const std::vector<Named>& all) {
        std::vector<std::string_view> names;
        for (const auto& one : all) names.push_back(one.name);
        return names;
    }

    static bool has(const std::vector<std::string_view>& names, std::string_view name) {
        return std::ranges::find(names, name) != names.end();
    }

    void sort_all() {
        std::ranges::sort(manifest_.services, {}, &Service::name);
        std::ranges::sort(manifest_.workers, {}, &Worker::name);
        std::ranges::sort(manifest_.routes, {}, &Route::key);
        std::ranges::sort(manifest_.queues, {}, &Queue::name);
        for (Service& service : manifest_.services) std::ranges::sort(service.depends_on);
        for (Worker& worker : manifest_.workers) std::ranges::sort(worker.depends_on);
        for (Route& route : manifest_.routes) std::ranges::sort(route.methods);
        services_ = names_of(manifest_.services);
        workers_ = names_of(manifest_.workers);
        queues_ = names_of(manifest_.queues);
    }

    // "did you mean X?", else what there is, else what to add.
    std::string hint_for(std::string_view name, const std::vector<std::string_view>& known,
                         std::string_view table) {
        if (const std::string_view best = nearest(name, known); !best.empty()) {
            return fmt::format("did you mean \"{}\"?", best);
        }
        const auto add =
            fmt::format("add [{}.{}]", table, is_program_name(name) ? std::string(name) : "NAME");
        if (known.empty()) return add;
        return fmt::format("there is {}; or {}", fmt::join(known, ", "), add);
    }

    void check_program(const Program& program, std::string_view table) {
        const std::string path = join_path(table, program.name);
        if (program.command.empty() && !places_.has(join_path(path, "command"))) {
            draft_.error(places_.of(path),
                         fmt::format("the {} {} has no command", table, toml_text(program.name)),
                         "add command = \"…\" here, or a line for it to the Procfile");
        }
        if (program.isolation != Isolation::process) {
            draft_.error(
                places_.of(join_path(path, "isolation")),
                fmt::format("`isolation` is \"{}\", but this version has only \"process\", and never runs "
                            "unisolated what asks for more",
                            program.isolation == Isolation::container ? "container" : "vm"),
                "write isolation = \"process\", or leave it out");
        }
        for (const std::string& name : program.depends_on) {
            check_dependency(program, name, join_path(path, "depends_on"));
        }
        for (const auto& [variable, value] : program.env) {
            if (variable == "PORT" || variable.starts_with("HAVN_")) {
                draft_.error(places_.of(join_path(path, "env")),
                             fmt::format("`{}` is set by Havn itself", variable), "leave it out of env");
            }
        }
    }

    void check_dependency(const Program& program, std::string_view name, const std::string& path) {
        if (name == program.name) {
            draft_.error(places_.of(path), fmt::format("{} depends on itself", toml_text(name)),
                         "leave it out");
        } else if (!has(services_, name) && !has(workers_, name)) {
            std::vector<std::string_view> known = services_;
            known.insert(known.end(), workers_.begin(), workers_.end());
            std::erase(known, program.name);
            draft_.error(places_.of(path), fmt::format("there is no service or worker {}", toml_text(name)),
                         hint_for(name, known, "service"));
        }
    }

    void check_worker(Worker& worker) {
        const std::string path = join_path("worker", worker.name);
        check_program(worker, "worker");
        check_queue(worker.queue, join_path(path, "queue"));
        if (!worker.scale) return;
        const std::string scale = join_path(path, "scale");
        const auto& [min, max, backlog, cooldown] = *worker.scale;
        if (!places_.has(join_path(scale, "max"))) worker.scale->max = std::max(min, max);
        if (min > max) {
            return draft_.error(places_.of(join_path(scale, "min")),
                                fmt::format("`min` is {}, more than `max`, which is {}", min, max), "");
        }
        const std::string instances = join_path(path, "instances");
        if (!places_.has(instances)) {
            worker.instances = min;
        } else if (worker.instances < min || worker.instances > max) {
            draft_.error(
                places_.of(instances),
                fmt::format("`instances` is {}, but `scale` allows {} to {}", worker.instances, min, max),
                "leave `instances` out: it then is `min`");
        }
    }

    void check_queue(const std::string& name, const std::string& path) {
        if (name.empty() || has(queues_, name)) return;
        std::string hint = hint_for(name, queues_, "queue");
        if (!is_program_name(name) && queues_.empty()) hint = fmt::format("add [queue.{}]", toml_text(name));
        draft_.error(places_.of(path), fmt::format("there is no queue {}", toml_text(name)), std::move(hint));
    }

    // Services and workers share `havn ps`, log files and variables, so a name belongs to one.
    void check_one_name_each() {
        for (const std::string_view name : workers_) {
            if (has(services_, name)) {
                draft_.error(places_.of(join_path("worker", name)),
                             fmt::format("{} is the name of a service already", toml_text(std::string(name))),
                             "choose another name");
            }
        }
        std::map<std::string, std::string_view> variables;
        for (const std::string_view name : services_) {
            const auto [at, added] = variables.emplace(url_variable(name), name);
            if (!added) {
                draft_.error(places_.of(join_path("service", name)),
                             fmt::format("the services {} and {} would share the variable ${}", at->second,
                                         name, at->first),
                             "choose another name");
            }
        }
    }

    const Program* program(std::string_view name, std::string_view& table) const {
        table = "service";
        for (const Service& one : manifest_.services) {
            if (one.name == name) return &one;
        }
        table = "worker";
        for (const Worker& one : manifest_.workers) {
            if (one.name == name) return &one;
        }
        return nullptr;
    }

    // Every circle is reported once, where its last member closes it. One of itself alone has its own error.
    void check_circles() {
        std::vector<std::string_view> names = services_;
        names.insert(names.end(), workers_.begin(), workers_.end());
        const auto next_of = [this](std::string_view name) {
            std::string_view table;
            std::vector<std::string_view> next;
            for (const std::string& other : program(name, table)->depends_on) {
                if (other != name) next.push_back(other);
            }
            return next;
        };
        for (const std::vector<std::string_view>& circle : find_cycles(names, next_of)) {
            std::string_view table;
            static_cast<void>(program(circle.back(), table));
            draft_.error(places_.of(join_path(table, circle.back(), "depends_on")),
                         fmt::format("`depends_on` goes in a circle: {} → {}", fmt::join(circle, " → "),
                                     circle.front()),
                         "take one of them out: nothing in a circle could start first");
        }
    }

    void check_route(const Route& route) {
        const std::string path = join_path("route", route.key);
        check_queue(route.queue, join_path(path, "queue"));
        if (route.service.empty() || has(services_, route.service)) return;
        const Place place = places_.of(join_path(path, "service"));
        if (has(workers_, route.service)) {
            return draft_.error(
                place, fmt::format("{} is a worker, which takes no requests", toml_text(route.service)),
                fmt::format("make it [service.{}]", route.service));
        }
        draft_.error(place, fmt::format("there is no service {}", toml_text(route.service)),
                     hint_for(route.service, services_, "service"));
    }

    // One service is balanced one way: its key and its routes must not contradict each other.
    void check_balances() {
        for (Service& service : manifest_.services) {
            bool said = places_.has(join_path("service", service.name, "balance"));
            for (const Route& route : manifest_.routes) {
                if (route.service != service.name || !route.balance) continue;
                if (said && *route.balance != service.balance) {
                    draft_.error(places_.of(join_path("route", route.key, "balance")),
                                 fmt::format("the service {} is balanced another way elsewhere",
                                             toml_text(service.name)),
                                 "write the same `balance` in all its routes");
                }
                service.balance = *route.balance;
                said = true;
            }
        }
    }

    // Two addresses that one socket each cannot have: the same port of one family, and the same host or all.
    static bool collide(const std::string& one, const std::string& other) {
        const std::size_t colon = one.rfind(':'), other_colon = other.rfind(':');
        const std::string host = one.substr(0, colon), other_host = other.substr(0, other_colon);
        if (one.substr(colon) != other.substr(other_colon)) return false;
        if (host.starts_with('[') != other_host.starts_with('[')) return false;
        const auto is_any = [](std::string_view name) { return name == "0.0.0.0" || name == "[::]"; };
        return host == other_host || is_any(host) || is_any(other_host);
    }

    void check_one_socket_each(const std::vector<std::string>& listen, std::string_view table) {
        for (std::size_t i = 0; i < listen.size(); ++i) {
            for (std::size_t j = 0; j < i; ++j) {
                if (collide(listen[j], listen[i])) {
                    draft_.error(places_.of(join_path(table, "listen")),
                                 fmt::format("\"{}\" covers \"{}\" already: one of them could not listen",
                                             listen[j].starts_with("0.0.0.0") || listen[j].starts_with("[::]")
                                                 ? listen[j]
                                                 : listen[i],
                                             listen[j].starts_with("0.0.0.0") || listen[j].starts_with("[::]")
                                                 ? listen[i]
                                                 : listen[j]),
                                 "leave one of them out");
                }
            }
        }
    }

    // One message tells the gateway of all its sockets, and the kernel passes 253 in one.
    void check_number_of_sockets() {
        const std::size_t sockets = manifest_.services.size() + manifest_.gateway.listen.size();
        if (sockets <= sockets_max) return;
        draft_.error(
            {draft_.file, 0, 0},
            fmt::format("{} services and {} addresses of [gateway] listen make {} listening sockets; "
                        "at most {} are possible",
                        manifest_.services.size(), manifest_.gateway.listen.size(), sockets, sockets_max),
            "make workers of the services that take no requests, or run two platforms");
    }

    struct Listening {
        std::string_view table;
        const std::vector<std::string>& addresses;
    };

    void check_listen() {
        check_number_of_sockets();
        std::vector<Listening> parts{{"gateway", manifest_.gateway.listen}};
        if (manifest_.broker.url.empty()) parts.push_back({"broker", manifest_.broker.listen});
        parts.push_back({"metrics", manifest_.metrics.listen});
        for (std::size_t i = 0; i < parts.size(); ++i) {
            check_one_socket_each(parts[i].addresses, parts[i].table);
            for (std::size_t j = 0; j < i; ++j) check_ports_of_their_own(parts[j], parts[i]);
        }
    }

    void check_ports_of_their_own(const Listening& one, const Listening& other) {
        for (const std::string& first : one.addresses) {
            for (const std::string& second : other.addresses) {
                if (!collide(first, second)) continue;
                const std::string path = join_path(other.table, "listen");
                draft_.error(places_.of(places_.has(path) ? path : join_path(one.table, "listen")),
                             fmt::format("{} and {} both listen on port {}", one.table, other.table,
                                         second.substr(second.rfind(':') + 1)),
                             "give one of them another port");
            }
        }
    }

    void check_broker() {
        if (manifest_.broker.users.contains("havn")) {
            draft_.error(places_.of(join_path("broker", "users")),
                         "the user \"havn\" is the platform's own, with a password it makes",
                         "choose another name");
        }
        if (manifest_.broker.url.empty()) return;
        for (const Queue& queue : manifest_.queues) {
            if (!queue.ttl && queue.max_attempts == 0 && queue.backoff == Backoff{}) continue;
            draft_.warn(places_.of(join_path("queue", queue.name)),
                        fmt::format("what [queue.{}] says is not applied to the broker at `url`", queue.name),
                        "set it there as a policy");
        }
    }

    Draft& draft_;
    Manifest& manifest_;
    Places& places_;
    std::vector<std::string_view> services_, workers_, queues_;
};

}  // namespace

void check(Draft& draft) {
    Checker(draft).run();
}

}  // namespace havn::manifest
