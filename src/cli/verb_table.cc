#include "cli/verb_table.h"

#include <algorithm>

#include "base/assert.h"

namespace havn::cli {
namespace {

constexpr VerbEntry verb_entries[] = {
    {"init", "write a havn.toml for what stands in this folder",
     "Write a commented havn.toml for what stands in a folder. Never overwrites one."},
    {"up", "start everything the manifest names, or apply what changed",
     "Start everything the manifest names and stay in the foreground until Ctrl-C.\n"
     "Where it runs already: apply what changed."},
    {"down", "stop everything",
     "Stop everything, the platform included. Not running: nothing to do, exit 0.\n"
     "Exit 1 when something still runs long after its stop_timeout; it is named then."},
    {"plan", "show what `up` would change",
     "Show what `havn up` would change, and what this host lacks for it: folders, users, commands,\n"
     "ports. Exit 0: nothing would change, 2: something, 1: `havn up` would refuse it."},
    {"ps", "show what runs, the platform's own parts included",
     "Show what runs, the platform's own parts included: state, last exit, what it waits for.\n"
     "Exit 1 when something is not ready or publishers are held back, or when it does not run."},
    {"status", "show what is applied, where it listens, and which version runs",
     "Show what is applied, where it listens, and which versions run: of this command, of the\n"
     "platform, and whether the binary was replaced since it was started."},
    {"logs", "show what instances printed",
     "Show what instances printed; also of gateway, broker, control, supervisor, access.\n"
     "Here -f is --follow, as everywhere else in the world; the manifest is --file."},
    {"events", "show what changed its state, when and why", "Show what changed its state, when and why."},
    {"restart", "restart a service, a worker or a part of the platform",
     "Restart a service, a worker or a part of the platform, instance by instance, and wait until\n"
     "that is done. Exit 1 with the cause when it is not ready again; others do not matter."},
    {"scale", "change how many instances run",
     "Change how many instances run. Running ones are not touched, the manifest is not written.\n"
     "The number stays, also over restarts and over `havn up`, until the manifest says another one\n"
     "or NAME=default takes it back; `havn ps` and `havn plan` name what is scaled."},
    {"queue", "show the queues, or empty one",
     "Show the queues: messages ready and unacknowledged, consumers."},
    {"routes", "show which requests go where", "Show which requests go where."},
    {"doctor", "check whether this host can run the platform",
     "Check whether this host can run the platform. Exit 1 only on blockers."},
    {"version", "show the version", "Show the version."},
    {"help", "explain a verb, or the manifest's keys",
     "Explain a verb, or with `manifest [SECTION]` the keys of havn.toml."},
    {"completion", "print the completion script of a shell", "Print the completion script of a shell."},
};

}  // namespace

std::span<const VerbEntry> verb_table() {
    return verb_entries;
}

const VerbEntry& verb_entry(std::string_view name) {
    const auto found = std::ranges::find(verb_entries, name, &VerbEntry::name);
    HAVN_ASSERT(found != std::end(verb_entries), "every verb has a row");
    return *found;
}

}  // namespace havn::cli
