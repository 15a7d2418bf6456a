// What the parts say over their links, and what they are told. ARCHITECTURE.md lists the messages.
#include <fmt/format.h>

#include <unistd.h>

#include <csignal>

#include "supervisor/shell/data_folder.h"
#include "supervisor/shell/supervisor_process.h"

namespace havn::supervisor {

void SupervisorProcess::connect_part(UnitId id, int pid, io::Fd ours) {
    const bool is_new = processes_[id].request.executable >= 0;
    auto link = std::make_shared<io::Link>(loop_.executor(), std::move(ours));
    processes_[id].link = link;
    // Not before this turn is over: a part that was taken over may have spoken already, and nobody may act on
    // it until the fleet knows what is wanted.
    loop_.post([this, id, pid, link] { loop_.spawn(receive(this, id, pid, link)); });
    const std::string& name = fleet_.find(id)->name;
    if (name == "gateway" && is_new) send_endpoints();  // first: whom it accepts, it must be able to serve
    if (is_new && name != "control") send_listeners(name);
    if (name == "control") last_table_ = Json();  // sent with the next change
    changed();
}

io::Task<void> SupervisorProcess::receive(SupervisorProcess* self, UnitId unit, int pid,
                                          std::shared_ptr<io::Link> link) {
    for (;;) {
        Result<io::Link::Message> message = co_await link->receive();
        if (!message) break;
        self->on_message(unit, message->body);
        self->perform();
    }
    // A part without its link is of no use; mostly it is dead already, or ends as it was told to.
    const Unit* owner = self->fleet_.find(unit);
    if (owner && owner->pid == pid && owner->state != State::stopping) ::kill(pid, SIGKILL);
}

static std::string text_of(const Json& message, const char* key) {
    const auto found = message.find(key);
    return found != message.end() && found->is_string() ? found->get<std::string>() : "";
}

void SupervisorProcess::on_message(UnitId id, const Json& message) {
    const Unit* unit = fleet_.find(id);
    const auto process = processes_.find(id);
    if (!unit || process == processes_.end() || !message.is_object()) return;
    const std::string type = text_of(message, "type");
    if (type == "ready") return fleet_.reported_ready(id, now());
    if (unit->name == "gateway" && type == "drained")
        return fleet_.drained(text_of(message, "endpoint"), now());
    if (unit->name == "control") on_command(*process->second.link, type, message);
}

void SupervisorProcess::on_command(io::Link& control, const std::string& type, const Json& message) {
    Json reply{{"type", "reply"}, {"id", message.value("id", Json())}};
    Result<> done;
    if (type == "apply") {
        done = on_apply(message);
    } else if (type == "restart") {
        done = on_restart(message);
    } else if (type != "stop") {
        done = fail(Error::Kind::invalid, "the supervisor knows no message '" + type + "'");
    }
    if (!done) {
        const Error& error = done.error();
        reply["error"] = {{"kind", name(error.kind)}, {"message", error.message}, {"remedy", error.remedy}};
    }
    // The table goes first: whoever gets the reply and looks must not see the state of before.
    perform();
    write_changes();
    control.send(reply);
    if (type == "stop") fleet_.stop_all(now());
}

Result<> SupervisorProcess::on_apply(const Json& message) {
    if (fleet_.stopping()) return fail(Error::Kind::unavailable, "the platform is stopping");
    Result<Desired> desired = desired_from_json(message.value("desired", Json()));
    if (!desired) return std::unexpected(desired.error());
    Result<bool> listening = listening_->change_to(*desired);
    if (!listening) return std::unexpected(listening.error());
    say(log::Level::info, fmt::format("configuration {} is accepted: {} programs", desired->revision,
                                      desired->programs.size()));
    if (Result<> written = write_state(desired_file, to_json(*desired).dump(), true); !written) {
        ::unlink(desired_file);  // none is better than an old one: then control tells anew
        say(log::Level::error, "the accepted configuration is not written down: " + written.error().message);
    }
    applied_ = true;
    fleet_.apply(*desired, now());
    if (*listening) {
        send_listeners("gateway");
        send_listeners("broker");
    }
    return {};
}

Result<> SupervisorProcess::on_restart(const Json& message) {
    const Json instance = message.value("instance", Json());
    if (!instance.is_null() && !instance.is_number_unsigned()) {
        return fail(Error::Kind::invalid, "instance: expected a number or null, found " + instance.dump());
    }
    const std::uint32_t number = instance.is_null() ? 0 : instance.get<std::uint32_t>();
    const std::string name = text_of(message, "name");
    if (name == "supervisor" || name == "keeper") {
        const int pid = name == "keeper" ? platform_rows_.keeper.pid : platform_rows_.supervisor.pid;
        loop_.post([pid] { ::kill(pid, SIGKILL); });  // the other one has it back; nothing else notices
        return {};
    }
    return fleet_.restart(name, number, now());
}

io::Link* SupervisorProcess::link_to(std::string_view part) {
    for (auto& [id, process] : processes_) {
        const Unit* unit = fleet_.find(id);
        if (unit && process.link && process.link->is_open() && unit->name == part) return process.link.get();
    }
    return nullptr;
}

void SupervisorProcess::send_listeners(std::string_view part) {
    io::Link* link = link_to(part);
    if (!link) return;
    Result<ListeningSockets::Handover> handover = listening_->for_part(std::string(part));
    if (!handover) return say(log::Level::error, handover.error().message);
    std::vector<int> sockets;
    for (const io::Fd& socket : handover->sockets) sockets.push_back(socket.get());
    link->send({{"type", "listeners"}, {"listeners", handover->listeners}}, sockets);
}

void SupervisorProcess::send_endpoints() {
    io::Link* gateway = link_to("gateway");
    if (!gateway) return;
    Json services = Json::object();
    for (const auto& [name, endpoints] : fleet_.endpoints().services) {
        Json& list = services[name] = Json::array();
        for (const Endpoint& endpoint : endpoints)
            list.push_back({{"address", endpoint.address}, {"instance", endpoint.instance}});
    }
    gateway->send(
        {{"type", "endpoints"}, {"version", fleet_.endpoints().version}, {"services", std::move(services)}});
}

void SupervisorProcess::changed() {
    if (std::exchange(change_pending_, true)) return;
    loop_.post([this] { write_changes(); });
}

void SupervisorProcess::write_changes() {
    change_pending_ = false;
    if (finished_) return;
    Json state = to_json(fleet_, run_);
    state["platform"] = to_json(platform_rows_);
    std::string text = state.dump();
    if (text != last_state_) {
        if (Result<> written = write_state(state_file, text); !written) {
            say(log::Level::error, "the process table is not written down: " + written.error().message);
        }
        last_state_ = std::move(text);
    }
    Json table = process_table(fleet_, platform_rows_);
    if (table == last_table_) return;
    io::Link* control = link_to("control");
    if (!control) return;
    control->send({{"type", "processes"}, {"revision", ++table_revision_}, {"processes", table}});
    last_table_ = std::move(table);
}

}  // namespace havn::supervisor
