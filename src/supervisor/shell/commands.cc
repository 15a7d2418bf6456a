#include "supervisor/shell/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include "supervisor/keeper/descriptor_limit.h"
#include "supervisor/keeper/own_file.h"
#include "supervisor/runtime/launch.h"
#include "supervisor/shell/data_folder.h"
#include "supervisor/shell/manifest_file.h"
#include "supervisor/shell/moment.h"

namespace havn::supervisor {

namespace {

constexpr milliseconds retry_pause{2'000};

}  // namespace

void Commands::load_accepted(bool continues) {
    Result<std::string> text = read_own_file(desired_file);
    if (!text && text.error().kind == Error::Kind::not_found) return context_.table.begin(moment());
    Result<Json> json = text ? parse_json(*text) : std::unexpected(text.error());
    Result<Desired> desired = json ? desired_from_json(*json) : std::unexpected(json.error());
    if (!desired) {
        context_.log.say(log::Level::error,
                         "the accepted configuration cannot be used: " + desired.error().text());
        return context_.table.begin(moment());
    }
    accepted_ = *desired;
    Result<bool> listening = context_.listening.change_to(*desired);
    if (!listening && continues) {  // what runs is worth more than a listener
        context_.log.say(log::Level::error, listening.error().text());
    } else if (!listening) {
        context_.log.say(log::Level::error,
                         fmt::format("the application is not started: {}; trying again every {} s",
                                     listening.error().text(), retry_pause.count() / 1'000));
        context_.loop.spawn(retry_accepted(this));
        return context_.table.begin(moment());
    }
    applied_ = true;
    context_.table.apply(*desired, moment());
}

io::Task<void> Commands::retry_accepted(Commands* self) {
    co_await io::sleep_for(retry_pause);
    if (self->applied_ || self->context_.table.stopping()) co_return;
    self->load_accepted(false);
    self->context_.turn.finish();
}

// As root: whose word each program is, and whether that one may say so.
Result<> Commands::check_authors(Desired& desired, const Json& origin) const {
    note_authors(desired, accepted_, read_manifest(origin, context_.read_programs));
    for (const Program& program : desired.programs) {
        std::optional<uid_t> folder_owner;
        const Result<Account> account = account_of(program, context_.accounts, folder_owner);
        // A missing user or folder is the instance's failure, and shown as such.
        if (!account && account.error().kind == Error::Kind::denied) return std::unexpected(account.error());
    }
    return {};
}

Result<> Commands::apply(const link::Apply& message) {
    if (context_.table.stopping()) return fail(Error::Kind::unavailable, "the platform is stopping");
    Result<Desired> desired = desired_from_json(message.desired);
    if (!desired) return std::unexpected(desired.error());
    if (Result<> enough = enough_descriptors(*desired); !enough) return enough;
    if (::geteuid() == 0) {
        if (Result<> checked = check_authors(*desired, message.origin); !checked) return checked;
    }
    Result<bool> listening = context_.listening.change_to(*desired);
    if (!listening) return std::unexpected(listening.error());
    accept(std::move(*desired));
    if (*listening) {
        for (const char* part : {"gateway", "broker", "control"}) send_listeners(part);
    }
    return {};
}

void Commands::accept(Desired desired) {
    context_.log.say(log::Level::info, fmt::format("configuration {} is accepted: {} programs",
                                                   desired.revision, desired.programs.size()));
    if (Result<> written = write_own_file(desired_file, to_json(desired).dump(), true); !written) {
        ::unlink(desired_file);  // none is better than an old one: then control tells anew
        context_.log.say(log::Level::error,
                         "the accepted configuration is not written down: " + written.error().message);
    }
    applied_ = true;
    accepted_ = std::move(desired);
    context_.table.apply(accepted_, moment());
}

Result<> Commands::restart(const link::Restart& message) {
    if (message.app.empty() && (message.name == "supervisor" || message.name == "keeper")) {
        context_.replace(message.name);
        return {};
    }
    return context_.table.restart(message.app, message.name, message.instance, moment());
}

void Commands::send_listeners(const std::string& part) {
    io::Link* const link = context_.parts.to(part);
    if (!link) return;
    Result<ListeningSockets::Handover> handover = context_.listening.for_part(part);
    if (!handover) return context_.log.say(log::Level::error, handover.error().message);
    std::vector<int> sockets;
    for (const io::Fd& socket : handover->sockets) sockets.push_back(socket.get());
    const Result<> sent = link->send(to_json(handover->listeners), sockets);
    if (!sent) {
        context_.log.say(log::Level::error,
                         fmt::format("{} got no listening sockets: {}", part, sent.error().message));
    }
}

}  // namespace havn::supervisor
