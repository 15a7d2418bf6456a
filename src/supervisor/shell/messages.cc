// What the parts say over their links, and what they are told. ARCHITECTURE.md lists the messages.
#include <fmt/format.h>

#include <unistd.h>

#include <csignal>

#include "io/clock.h"
#include "supervisor/shell/data_folder.h"
#include "supervisor/shell/supervisor_process.h"

namespace havn::supervisor {

static constexpr Duration write_distance = milliseconds(20);
static constexpr Duration write_distance_per_unit = std::chrono::microseconds(100);

void SupervisorProcess::connect_part(UnitId id, int pid, io::Fd ours) {
    const bool is_new = processes_[id].request.executable >= 0;
    auto link = std::make_shared<io::Link>(loop_.executor(), std::move(ours));
    processes_[id].link = link;
    linked_[fleet_.find(id)->name] = id;
    // Not before this turn is over: a part that was taken over may have spoken already, and nobody may act on
    // it until the fleet knows what is wanted.
    loop_.post([this, id, pid, link] { loop_.spawn(receive(this, id, pid, link)); });
    const std::string& name = fleet_.find(id)->name;
    if (name == "gateway" && is_new) send_endpoints();  // first: whom it accepts, it must be able to serve
    if (is_new) send_listeners(name);
    if (name == "control") last_table_.clear();  // sent with the next change
    changed();
}

io::Task<void> SupervisorProcess::receive(SupervisorProcess* self, UnitId unit, int pid,
                                          std::shared_ptr<io::Link> link) {
    for (;;) {
        Result<io::Link::Message> message = co_await link->receive();
        if (!message) break;
        self->on_message(unit, std::move(message->body));
        self->perform();
    }
    // A part without its link is of no use; mostly it is dead already, or ends as it was told to.
    const Unit* owner = self->fleet_.find(unit);
    if (owner && owner->pid == pid && owner->state != State::stopping) ::kill(pid, SIGKILL);
}

void SupervisorProcess::on_message(UnitId id, Json message) {
    const Unit* unit = fleet_.find(id);
    const auto process = processes_.find(id);
    if (!unit || process == processes_.end()) return;
    ++process->second.pongs;  // whatever it says, it is there
    const std::uint64_t command = link::id_of(message);
    Result<link::ToSupervisor> said = link::to_supervisor_from_json(std::move(message));
    const bool is_control = unit->name == "control";
    if (!said && is_control) return answer(*process->second.link, command, std::unexpected(said.error()));
    if (!said) return say(log::Level::warning, fmt::format("{}: {}", unit->name, said.error().message));
    const auto* pong = std::get_if<link::Pong>(&*said);
    if (std::holds_alternative<link::Ready>(*said) || (pong && pong->ready))
        return fleet_.reported_ready(id, now());
    const auto* drained = std::get_if<link::Drained>(&*said);
    if (drained && unit->name == "gateway") return fleet_.drained(drained->endpoint, now());
    if (is_control) on_command(*process->second.link, *said);
}

void SupervisorProcess::on_command(io::Link& control, const link::ToSupervisor& said) {
    if (const auto* apply = std::get_if<link::Apply>(&said)) answer(control, apply->id, on_apply(*apply));
    if (const auto* restart = std::get_if<link::Restart>(&said))
        answer(control, restart->id, on_restart(*restart));
    if (const auto* stop = std::get_if<link::Stop>(&said)) {
        answer(control, stop->id, {});
        fleet_.stop_all(now());
    }
}

// The table goes first: whoever gets the reply and looks must not see the state of before.
void SupervisorProcess::answer(io::Link& control, std::uint64_t command, const Result<>& done) {
    perform();
    write_changes();
    link::Reply reply{command, {}};
    if (!done) reply.error = done.error();
    std::ignore = control.send(to_json(reply));
}

Result<> SupervisorProcess::on_apply(const link::Apply& message) {
    if (fleet_.stopping()) return fail(Error::Kind::unavailable, "the platform is stopping");
    Result<Desired> desired = desired_from_json(message.desired);
    if (!desired) return std::unexpected(desired.error());
    if (Result<> enough = enough_descriptors(*desired); !enough) return enough;
    if (::geteuid() == 0) {
        note_authors(*desired, accepted_, read_manifest(message.origin, options_.read_programs));
        for (const Program& program : desired->programs) {
            std::optional<uid_t> folder_owner;
            Result<Account> account = account_of(program, folder_owner);
            // A missing user or folder is the instance's failure, and shown as such.
            if (!account && account.error().kind == Error::Kind::denied)
                return std::unexpected(account.error());
        }
    }
    Result<bool> listening = listening_->change_to(*desired);
    if (!listening) return std::unexpected(listening.error());
    say(log::Level::info, fmt::format("configuration {} is accepted: {} programs", desired->revision,
                                      desired->programs.size()));
    if (Result<> written = write_state(desired_file, to_json(*desired).dump(), true); !written) {
        ::unlink(desired_file);  // none is better than an old one: then control tells anew
        say(log::Level::error, "the accepted configuration is not written down: " + written.error().message);
    }
    applied_ = true;
    accepted_ = *desired;
    fleet_.apply(*desired, now());
    if (*listening) {
        for (const char* part : {"gateway", "broker", "control"}) send_listeners(part);
    }
    return {};
}

Result<> SupervisorProcess::on_restart(const link::Restart& message) {
    const std::string& name = message.name;
    if (name == "supervisor" || name == "keeper") {
        const int pid = name == "keeper" ? platform_rows_.keeper.pid : platform_rows_.supervisor.pid;
        loop_.post([pid] { ::kill(pid, SIGKILL); });  // the other one has it back; nothing else notices
        return {};
    }
    return fleet_.restart(name, message.instance, now());
}

io::Link* SupervisorProcess::link_to(std::string_view part) {
    const auto id = linked_.find(std::string(part));
    const auto process = id == linked_.end() ? processes_.end() : processes_.find(id->second);
    const bool open = process != processes_.end() && process->second.link && process->second.link->is_open();
    return open ? process->second.link.get() : nullptr;
}

void SupervisorProcess::send_listeners(std::string_view part) {
    io::Link* link = link_to(part);
    if (!link) return;
    Result<ListeningSockets::Handover> handover = listening_->for_part(std::string(part));
    if (!handover) return say(log::Level::error, handover.error().message);
    std::vector<int> sockets;
    for (const io::Fd& socket : handover->sockets) sockets.push_back(socket.get());
    Result<> sent = link->send(to_json(handover->listeners), sockets);
    if (!sent)
        say(log::Level::error, fmt::format("{} got no listening sockets: {}", part, sent.error().message));
}

void SupervisorProcess::send_endpoints() {
    io::Link* gateway = link_to("gateway");
    if (!gateway) return;
    std::ignore = gateway->send(to_json(fleet_.endpoints()));
}

// At the end of this turn when it was quiet; else with a distance that grows with what has to be written, so
// that a thousand changes do not write a thousand rows a thousand times. A process that is started in between
// is in the journal.
void SupervisorProcess::changed() {
    if (std::exchange(change_pending_, true)) return;
    loop_.spawn(write_later(this, std::max(Duration(0), next_write_ - io::now())));
}

io::Task<void> SupervisorProcess::write_later(SupervisorProcess* self, Duration pause) {
    co_await io::sleep_for(pause);
    if (self->change_pending_) self->write_changes();
}

void SupervisorProcess::write_changes() {
    change_pending_ = false;
    next_write_ = io::now() + write_distance + write_distance_per_unit * fleet_.units().size();
    if (finished_) return;
    const std::string state = saved_text(fleet_, run_, to_json(platform_rows_), saved_rows_);
    if (Result<> written = write_state(state_file, state); !written) {
        say(log::Level::error, "the process table is not written down: " + written.error().message);
    } else if (journal_ && ::ftruncate(journal_.get(), 0) != 0) {
        say(log::Level::error, fail_errno("empty the journal of starts").error().message);
    }
    std::string table = process_table(fleet_, platform_rows_, table_rows_);
    if (table == last_table_) return;
    io::Link* control = link_to("control");
    if (!control) return;
    std::ignore = control->send_text(link::processes_text(++table_revision_, true, table, {}));
    last_table_ = std::move(table);
}

}  // namespace havn::supervisor
