#include "supervisor/shell/listening_sockets.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "io/net.h"

namespace havn::supervisor {

namespace {

constexpr std::string_view stored_prefix = "listener|";
constexpr std::string_view questions_prefix = "rpc|";

bool is_unix(std::string_view address) {
    return address.starts_with("unix:");
}

std::size_t cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return static_cast<std::size_t>(CPU_COUNT(&set));
}

// How many sockets each address of the gateway gets: `threads`, while all fit into one message.
std::size_t copies_of(const Listener& listener, const Desired& desired) {
    if (listener.part != "gateway" || is_unix(listener.address)) return 1;
    const std::size_t threads = desired.gateway_threads > 0 ? desired.gateway_threads : cores();
    std::size_t edges = 0, services = 0;
    for (const Listener& other : desired.listeners) {
        if (other.part == "gateway") ++(other.name == "edge" ? edges : services);
    }
    if ((edges + services) * threads <= io::Link::descriptors_max) return threads;
    const std::size_t room = io::Link::descriptors_max;
    const std::size_t for_services = services == 0 || edges * threads >= room
                                         ? 1
                                         : std::max<std::size_t>(1, (room - edges * threads) / services);
    if (listener.name != "edge") return std::min(threads, for_services);
    return edges == 0 || services >= room ? 1
                                          : std::clamp<std::size_t>((room - services) / edges, 1, threads);
}

}  // namespace

Result<std::vector<ListeningSockets::Socket>> ListeningSockets::plan(const Desired& desired) const {
    std::vector<Socket> planned;
    for (const Listener& listener : desired.listeners) {
        if (listener.part == "broker" && !desired.embedded_broker) continue;
        const std::size_t copies = copies_of(listener, desired);
        for (std::size_t i = 0; i < copies; ++i) {
            const std::string stored_as =
                fmt::format("{}{}|{}|{}", stored_prefix, listener.part, listener.address, i);
            planned.push_back({stored_as, listener.name, listener.address, listener.part});
        }
    }
    for (const char* part : {"gateway", "broker", "control"}) {
        const auto count = static_cast<std::size_t>(std::ranges::count(planned, part, &Socket::part));
        if (count > io::Link::descriptors_max) {
            return fail(Error::Kind::invalid,
                        fmt::format("the {} would have {} listening sockets; at most {} are possible", part,
                                    count, io::Link::descriptors_max),
                        "use fewer services or fewer addresses");
        }
    }
    return planned;
}

Result<> ListeningSockets::open(const Socket& socket, bool shares_port) {
    io::ListenOptions options;
    options.unix_mode = 0600;
    // SO_REUSEPORT would let us in beside another process of the same user: whether the port is taken shows
    // without it.
    if (!shares_port && !is_unix(socket.address)) {
        Result<io::Fd> test = io::listen_on(socket.address, options);
        if (!test) return std::unexpected(test.error());
    }
    options.reuse_port = !is_unix(socket.address) && socket.part == "gateway";
    Result<io::Fd> opened = io::listen_on(socket.address, options);
    if (!opened) return std::unexpected(opened.error());
    // Of those by file name there is one, run/amqp.sock: the gateway's way to the broker.
    const Account& client = accounts_.gateway;
    if (is_unix(socket.address) && client.change &&
        ::chown(socket.address.substr(5).c_str(), client.uid, client.gid) != 0) {
        return fail_errno("chown " + socket.address);
    }
    return store_.keep(socket.stored_as, opened->get());
}

Result<bool> ListeningSockets::change_to(const Desired& desired) {
    Result<std::vector<Socket>> planned = plan(desired);
    if (!planned) return std::unexpected(planned.error());
    std::vector<std::string> opened;
    for (const Socket& socket : *planned) {
        if (store_.holds(socket.stored_as)) continue;
        const std::string prefix = socket.stored_as.substr(0, socket.stored_as.rfind('|') + 1);
        const bool shares_port = std::ranges::any_of(
            store_.all(), [&prefix](const auto& entry) { return entry.first.starts_with(prefix); });
        if (Result<> result = open(socket, shares_port); !result) {
            for (const std::string& name : opened) store_.drop(name);
            return std::unexpected(result.error());
        }
        opened.push_back(socket.stored_as);
    }
    const bool changed = *planned != sockets_;
    sockets_ = std::move(*planned);
    drop_unnamed();
    return changed;
}

void ListeningSockets::drop_unnamed() {
    std::set<std::string> named, addresses;
    for (const Socket& socket : sockets_) {
        named.insert(socket.stored_as);
        addresses.insert(socket.address);
    }
    std::vector<std::string> unnamed;
    for (const auto& [name, fd] : store_.all()) {
        if (name.starts_with(stored_prefix) && !named.contains(name)) unnamed.push_back(name);
    }
    for (const std::string& name : unnamed) {
        const std::size_t begin = name.find('|', stored_prefix.size()) + 1;
        const std::string address = name.substr(begin, name.rfind('|') - begin);
        if (is_unix(address) && !addresses.contains(address)) ::unlink(address.substr(5).c_str());
        store_.drop(name);
    }
}

Result<ListeningSockets::Handover> ListeningSockets::for_part(const std::string& part) const {
    Handover handover;
    for (const Socket& socket : sockets_) {
        if (socket.part != part) continue;
        Result<io::Fd> copy = store_.duplicate(socket.stored_as);
        if (!copy) return std::unexpected(copy.error());
        handover.listeners.entries.push_back({socket.name, socket.address, link::kind_of(socket.address)});
        handover.sockets.push_back(std::move(*copy));
    }
    return handover;
}

Result<io::Fd> ListeningSockets::for_questions(const std::string& part) {
    const std::string stored_as = std::string(questions_prefix) + part;
    const std::string path = "run/" + part + ".sock";
    if (!store_.holds(stored_as) || ::access(path.c_str(), F_OK) != 0) {
        Result<io::Fd> opened = io::listen_on("unix:" + path, {.unix_mode = 0600});
        if (!opened) return opened;
        const Account& client = accounts_.control;
        if (part != "control" && client.change && ::chown(path.c_str(), client.uid, client.gid) != 0) {
            return fail_errno("chown " + path);
        }
        if (Result<> kept = store_.keep(stored_as, opened->get()); !kept) {
            return std::unexpected(kept.error());
        }
    }
    return store_.duplicate(stored_as);
}

void ListeningSockets::remove_files() {
    std::vector<std::string> asked;
    for (const auto& [name, fd] : store_.all()) {
        if (name.starts_with(questions_prefix)) asked.push_back(name);
    }
    for (const std::string& name : asked) {
        ::unlink(("run/" + name.substr(questions_prefix.size()) + ".sock").c_str());
        store_.drop(name);
    }
    sockets_.clear();
    drop_unnamed();
}

}  // namespace havn::supervisor
