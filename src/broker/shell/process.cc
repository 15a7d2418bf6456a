#include "broker/shell/process.h"

#include <csignal>

#include "base/log.h"
#include "broker/shell/admin.h"
#include "broker/shell/listeners.h"
#include "broker/shell/server.h"
#include "io/file.h"
#include "io/host.h"
#include "io/link.h"
#include "io/loop.h"

namespace havn::broker {
namespace {

constexpr const char* config_path = "applied/parts/broker.json";
constexpr const char* queue_path = "queue";
constexpr const char* admin_path = "run/broker.sock";
constexpr std::uint64_t descriptors_kept = 192;  // for the log, the gateway and the admin socket
constexpr Duration stop_patience = seconds(2);

Result<Config> read_config() {
    const Result<std::string> text = io::read_file(config_path);
    if (!text && text.error().kind == Error::Kind::not_found) return Config{};
    if (!text) return std::unexpected(text.error());
    const Result<Json> json = parse_json(*text);
    if (!json) return fail(json.error().kind, std::string(config_path) + ": " + json.error().message);
    return config_from_json(*json);
}

io::Task<void> follow_link(io::Link* supervisor, Listeners* listeners, Server* server) {
    for (;;) {
        Result<io::Link::Message> message = co_await supervisor->receive();
        if (!message) break;
        const Result<link::ToPart> told = link::to_part_from_json(std::move(message->body));
        if (!told) log::error("{}", told.error().text());
        const auto* wanted = told ? std::get_if<link::Listeners>(&*told) : nullptr;
        if (!wanted) continue;
        const Result<> replaced = listeners->replace(*wanted, std::move(message->descriptors));
        if (!replaced) log::error("{}", replaced.error().text());
    }
    if (!server->stopped()) log::info("the supervisor has gone; stopping");
    listeners->close();
    server->stop(stop_patience);
}

}  // namespace

Result<> run_broker(io::Fd link_socket) {
    Result<Config> config = read_config();
    if (!config) return std::unexpected(config.error());
    Result<std::unique_ptr<Storage>> storage = open_storage(queue_path);
    if (!storage) return std::unexpected(storage.error());

    const std::uint64_t descriptors = io::raise_descriptor_limit();

    io::Loop loop;
    io::Link supervisor(loop.executor(), std::move(link_socket));
    Server server(loop, std::move(*storage), *config);
    server.set_descriptors_for_connections(descriptors > 2 * descriptors_kept ? descriptors - descriptors_kept
                                                                              : descriptors / 2);
    if (Result<> opened = server.open(); !opened) return opened;
    Listeners listeners(loop, server);
    Admin admin(loop, server);
    if (Result<> listening = admin.listen(admin_path); !listening) return listening;

    io::asio::signal_set signals(loop.context(), SIGTERM, SIGINT);
    signals.async_wait([&](io::ErrorCode error, int) {
        if (error) return;
        listeners.close();
        server.stop(stop_patience);
    });
    server.on_stopped = [&loop] { loop.stop(); };
    loop.spawn(follow_link(&supervisor, &listeners, &server));
    supervisor.send(to_json(link::Ready{}));
    loop.run();

    // What was under way is told that its sockets are gone, while all it refers to is still there.
    listeners.close();
    supervisor.close();
    signals.cancel();
    loop.context().restart();
    loop.context().poll();
    if (server.failure()) return std::unexpected(*server.failure());
    return {};
}

}  // namespace havn::broker
