// The real keeper and supervisor with stand-ins for control, gateway and broker, for
// tests/e2e/test_supervisor.py.
//
// control listens on run/control.sock, which the supervisor made, and takes one JSON object per line: a
// message for the supervisor (answered with its reply) or {"type":"processes"} (answered with the last table). gateway and broker say
// they are ready, answer what the protocol asks for, and print every message they get.
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "contract/process_rows.h"
#include "io/inherited.h"
#include "io/link.h"
#include "io/loop.h"
#include "io/net.h"
#include "supervisor/keeper/keeper.h"
#include "supervisor/shell/supervisor.h"

namespace havn {
namespace {

class Part {
  public:
    Part(std::string name, io::Fd link) : name_(std::move(name)), link_(loop_.executor(), std::move(link)) {}

    int run() {
        std::setvbuf(stdout, nullptr, _IOLBF, 0);
        if (name_ == "control") loop_.spawn(accept(this));
        loop_.spawn(receive(this));
        link_.send({{"type", "ready"}});
        loop_.run();
        return 0;
    }

  private:
    static io::Task<void> receive(Part* self) {
        std::map<std::string, Json> known;  // endpoints by service
        for (;;) {
            Result<io::Link::Message> message = co_await self->link_.receive();
            if (!message) break;
            const Json& body = message->body;
            const std::string type = body.value("type", "");
            if (type == "processes") self->take_table(body);
            if (type == "reply") self->replies_[body.value("id", 0)] = body;
            if (self->name_ == "control") continue;
            std::printf("%s with %zu descriptors\n", body.dump().c_str(), message->descriptors.size());
            if (type == "endpoints") self->follow(body);
        }
        self->loop_.stop();
    }

    void take_table(const Json& body) {
        Result<link::ToPart> message = link::to_part_from_json(body);
        if (!message) std::abort();
        rows_.apply(std::get<link::Processes>(std::move(*message)));
        table_ = {{"type", "processes"}, {"revision", body.at("revision")}, {"processes", rows_.rows()}};
    }

    void follow(const Json& body) {
        link_.send({{"type", "applied"}, {"version", body.at("version")}});
        const Json services = body.at("services");
        for (const auto& [name, old] : services_.items()) {
            for (const Json& endpoint : old) {
                const Json now = services.value(name, Json::array());
                if (std::find(now.begin(), now.end(), endpoint) != now.end()) continue;
                link_.send({{"type", "drained"}, {"endpoint", endpoint.at("address")}});
            }
        }
        services_ = services;
    }

    static io::Task<void> accept(Part* self) {
        std::optional<io::Fd> socket = io::inherited_rpc_socket();
        if (!socket) std::abort();
        Result<io::Acceptor> acceptor = io::adopt_acceptor(self->loop_.executor(), std::move(*socket));
        for (;;) {
            auto [error, client] = co_await acceptor->async_accept(io::result);
            if (error) co_return;
            self->loop_.spawn(serve(self, io::StreamSocket(std::move(client))));
        }
    }

    static io::Task<void> serve(Part* self, io::StreamSocket client) {
        std::string input;
        for (;;) {
            const std::size_t end = input.find('\n');
            if (end == std::string::npos) {
                char buffer[4096];
                auto [error, size] = co_await client.async_read_some(io::asio::buffer(buffer), io::result);
                if (error) co_return;
                input.append(buffer, size);
                continue;
            }
            Json message = Json::parse(input.substr(0, end));
            input.erase(0, end + 1);
            Json answer = self->table_;
            if (message.at("type") != "processes") {
                const int id = ++self->next_id_;
                message["id"] = id;
                self->link_.send(message);
                while (!self->replies_.contains(id)) co_await io::sleep_for(milliseconds(1));
                answer = self->replies_[id];
            }
            const std::string text = answer.dump() + "\n";
            auto [error, size] = co_await io::asio::async_write(
                client, io::asio::buffer(text.data(), text.size()), io::result);
            if (error) co_return;
        }
    }

    std::string name_;
    io::Loop loop_;
    io::Link link_;
    link::ProcessRows rows_;
    Json table_;
    Json services_ = Json::object();
    std::map<int, Json> replies_;
    int next_id_ = 0;
};

// A manifest of the tests: {"programs": […]}.
std::vector<supervisor::Program> read_programs(const std::string&, const std::optional<std::string>& text,
                                               const std::optional<std::string>&) {
    std::vector<supervisor::Program> programs;
    const Json manifest = Json::parse(text.value_or("{}"));
    for (const Json& program : manifest.value("programs", Json::array()))
        programs.push_back(supervisor::program_from_json(program).value());
    return programs;
}

int run(int count, char** arguments) {
    const std::string role = count > 1 ? arguments[1] : "";
    supervisor::Options options;
    options.read_programs = read_programs;
    for (int i = 2; i < count; ++i) {
        if (std::strcmp(arguments[i], "--foreground") == 0) options.foreground = true;
        if (std::strcmp(arguments[i], "--data") == 0 && i + 1 < count) options.data = arguments[++i];
    }
    if (role == "keeper") return supervisor::run_keeper(options);
    if (role == "supervisor") return supervisor::run_supervisor(options);
    Result<io::Fd> link = io::inherited_link();
    if (!link) return 1;
    return Part(role, std::move(*link)).run();
}

}  // namespace
}  // namespace havn

int main(int count, char** arguments) {
    return havn::run(count, arguments);
}
