// Everything the supervisor is made of, in the order in which it is built: made once it has the data folder
// and what the keeper kept.
#pragma once

#include <memory>

#include "supervisor/logs/instance_logs.h"
#include "supervisor/runtime/process_runtime.h"
#include "supervisor/shell/commands.h"
#include "supervisor/shell/health_checks.h"
#include "supervisor/shell/listening_sockets.h"
#include "supervisor/shell/part_links.h"
#include "supervisor/shell/state_files.h"
#include "supervisor/shell/supervisor_log.h"

namespace havn::supervisor {

struct Platform {
    struct Setup {
        io::Loop& loop;
        DescriptorStore& store;
        Turn& turn;
        RuntimeObserver& runtime_observer;
        PartLinksObserver& parts_observer;
        const Options& options;
        Accounts accounts;
        io::Fd executable;  // our own binary
        std::string run;
        std::uint64_t base = 0;  // of the state that was found
        PlatformRows rows;
        std::uint64_t seed = 0;
        std::function<void(const std::string&)> replace;
    };

    // What `setup` refers to outlives this object.
    explicit Platform(Setup setup)
        : accounts(std::move(setup.accounts)),
          executable(std::move(setup.executable)),
          table(setup.seed),
          writer(setup.loop, setup.options.foreground),
          log(writer, setup.options.foreground),
          logs(setup.store, writer),
          listening(setup.store, accounts),
          parts(setup.loop, setup.store, setup.parts_observer),
          runtime({setup.loop, setup.runtime_observer, accounts,
                   [this](const std::string& text) { log.say(log::Level::info, text); }},
                  executable.get(), setup.run, setup.seed + 1),
          state({setup.loop, table, parts, log}, setup.run, setup.base, setup.rows),
          health({setup.loop, table, runtime, parts, state, setup.turn}),
          commands({setup.loop, table, parts, listening, accounts, setup.options.read_programs, log,
                    setup.turn, std::move(setup.replace)}) {}
    Platform(const Platform&) = delete;
    Platform& operator=(const Platform&) = delete;

    Accounts accounts;
    io::Fd executable;
    ProcessTable table;
    LogWriter writer;
    SupervisorLog log;
    InstanceLogs logs;
    ListeningSockets listening;
    PartLinks parts;
    ProcessRuntime runtime;
    StateFiles state;
    HealthChecks health;
    Commands commands;
};

}  // namespace havn::supervisor
