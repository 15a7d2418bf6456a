#include "app/app.h"

#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/log.h"
#include "broker/shell/process.h"
#include "cli/cli.h"
#include "control/core/compile.h"
#include "control/shell/control.h"
#include "gateway/shell/gateway.h"
#include "io/host.h"
#include "io/inherited.h"
#include "io/link.h"
#include "manifest/manifest.h"
#include "supervisor/keeper/keeper.h"
#include "supervisor/shell/supervisor.h"

namespace havn::app {

namespace {

int usage_error(std::string_view verb) {
    std::fprintf(stderr, "havn %.*s is started by the platform; type `havn up`\n",
                 static_cast<int>(verb.size()), verb.data());
    return 64;
}

// What a manifest says is to be run, for the supervisor: it asks whose word that is.
std::vector<supervisor::Program> read_programs(const std::string& directory,
                                               const std::optional<std::string>& toml,
                                               const std::optional<std::string>& procfile) {
    const auto source = [](const char* file, const std::optional<std::string>& text) {
        return text ? std::optional(manifest::Source{file, *text}) : std::nullopt;
    };
    const manifest::Parsed parsed = manifest::parse(source("havn.toml", toml), source("Procfile", procfile));
    if (!parsed.manifest) return {};
    return control::written_programs(*parsed.manifest, directory);
}

// `havn keeper|supervisor --data DIR [--foreground|--clear]`
int run_root(std::string_view verb, int argc, char** argv) {
    supervisor::Options options;
    options.read_programs = read_programs;
    bool clear = false;
    for (int i = 2; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--data" && i + 1 < argc) {
            options.data = argv[++i];
        } else if (argument == "--foreground") {
            options.foreground = true;
        } else if (argument == "--clear") {
            clear = true;
        } else {
            return usage_error(verb);
        }
    }
    if (options.data.empty()) return usage_error(verb);
    if (clear) return supervisor::run_clear(options);
    return verb == "keeper" ? supervisor::run_keeper(options) : supervisor::run_supervisor(options);
}

// A part that gets its link here and returns what stopped it.
int run_part(std::string_view verb, Result<> (*run)(io::Fd)) {
    log::init(verb);
    io::raise_descriptor_limit();
    ::signal(SIGPIPE, SIG_IGN);
    Result<io::Fd> link = io::inherited_link();
    Result<> ended = link ? run(std::move(*link)) : std::unexpected(link.error());
    if (ended) return 0;
    log::error("{}", ended.error().text());
    return 1;
}

}  // namespace

int run(int argc, char** argv) {
    const std::string_view verb = argc > 1 ? argv[1] : "";
    ::prctl(PR_SET_NAME, "havn");  // executed through a descriptor, the name would be its number
    if (verb == "keeper" || verb == "supervisor") return run_root(verb, argc, argv);
    if (verb == "control" || verb == "gateway" || verb == "broker") io::close_to_others();
    if (verb == "control") {
        io::raise_descriptor_limit();
        return control::run();
    }
    if (verb == "gateway") return run_part(verb, gateway::run);
    if (verb == "broker") return run_part(verb, broker::run_broker);
    return cli::run(argc, argv);
}

}  // namespace havn::app
