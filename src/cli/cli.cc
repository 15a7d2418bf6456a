#include "cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>

#include "cli/common/terminal.h"
#include "cli/help.h"
#include "cli/verb_table.h"
#include "cli/verbs/verbs.h"

namespace havn::cli {

namespace {

// All options of all verbs; one verb is chosen per run.
struct Arguments {
    Place place;
    UpOptions up;
    LogsOptions logs;
    EventsOptions events;
    PsOptions ps;
    bool json = false;
    std::string name, folder, shell;
    std::vector<std::string> assignments, topics;
};

class CommandLine {
  public:
    CommandLine();
    int run(int argc, char** argv);

  private:
    CLI::App* verb(std::string_view name) { return verb(name, verb_entry(name).explanation); }
    CLI::App* verb(std::string_view name, std::string_view explanation);
    void place_options(CLI::App* verb, const char* file_option = "-f,--file");
    const CLI::App* find_verb(const std::string& name) const;
    void json_option(CLI::App* verb);
    void span_options(CLI::App* verb, LogSpan& span);
    void add_running_verbs();
    void add_showing_verbs();
    void add_log_verbs();
    void add_other_verbs();
    int help();
    int overview();
    int report_mistake(const CLI::ParseError& error, int argc, char** argv);

    CLI::App app_{"One binary, one file: gateway, queue and supervisor for your services.", "havn"};
    Arguments arguments_;
    int exit_code_ = Exit::ok;
};

CommandLine::CommandLine() {
    app_.set_help_flag("-h,--help", "Print this help and exit");
    app_.set_version_flag("--version", "havn " HAVN_VERSION);
    app_.require_subcommand(0, 1);
    add_running_verbs();
    add_showing_verbs();
    add_log_verbs();
    add_other_verbs();
}

CLI::App* CommandLine::verb(std::string_view name, std::string_view explanation) {
    CLI::App* verb = app_.add_subcommand(std::string(name), std::string(explanation));
    verb->set_help_flag("-h,--help", "Print this help and exit");
    return verb;
}

void CommandLine::place_options(CLI::App* verb, const char* file_option) {
    verb->add_option(file_option, arguments_.place.file,
                     "The manifest. Default: havn.toml or Procfile here or in the nearest folder above")
        ->type_name("FILE");
    verb->add_option("--data", arguments_.place.data, "The data folder. Default: .havn beside the manifest")
        ->type_name("DIR");
}

const CLI::App* CommandLine::find_verb(const std::string& name) const {
    for (const CLI::App* verb : app_.get_subcommands(nullptr)) {
        if (verb->get_name() == name) return verb;
    }
    return nullptr;
}

void CommandLine::json_option(CLI::App* verb) {
    verb->add_flag("--json", arguments_.json, "Print JSON instead of a table");
}

void CommandLine::span_options(CLI::App* verb, LogSpan& span) {
    verb->add_option(
            "-n,--lines", span.lines,
            "How many of the last lines of each log. Default: 100; with --since all, up to a million")
        ->check(CLI::PositiveNumber);
    verb->add_option("--since", span.since, "From then on: 10m (ago), or 2026-11-21T14:00:00Z");
    verb->add_option("--until", span.until, "Up to then, written like --since");
    verb->add_option("--grep", span.grep, "Only lines that match an extended regular expression");
}

void CommandLine::add_running_verbs() {
    for (const char* name : {"up", "apply"}) {  // apply is an alias people try
        CLI::App* up = verb(name, verb_entry("up").explanation);
        place_options(up);
        up->add_flag("-d,--detach", arguments_.up.detached,
                     "Return once everything is ready; it goes on running");
        up->add_flag("--force", arguments_.up.force, "Accept the manifest anew though nothing changed");
        up->callback([this] {
            arguments_.up.place = arguments_.place;
            exit_code_ = cli::up(arguments_.up);
        });
        if (std::string_view(name) != "up") up->group("");
    }
    CLI::App* down = verb("down");
    place_options(down);
    down->callback([this] { exit_code_ = cli::down(arguments_.place); });

    CLI::App* restart = verb("restart");
    place_options(restart);
    restart->add_option("name", arguments_.name, "NAME, or NAME.INSTANCE for one of them")->required();
    restart->callback([this] { exit_code_ = cli::restart(arguments_.place, arguments_.name); });

    CLI::App* scale = verb("scale");
    place_options(scale);
    scale->add_option("assignments", arguments_.assignments, "NAME=COUNT or NAME=default, one or more")
        ->required();
    scale->callback([this] { exit_code_ = cli::scale(arguments_.place, arguments_.assignments); });
}

void CommandLine::add_log_verbs() {
    CLI::App* logs = verb("logs");
    place_options(logs, "--file");  // -f is what everybody types to follow
    json_option(logs);
    logs->add_option("name", arguments_.logs.name, "NAME or NAME.INSTANCE. Default: all of the application");
    logs->add_flag("-f,--follow", arguments_.logs.follow, "Go on with what is printed from now on");
    span_options(logs, arguments_.logs.span);
    logs->callback([this] {
        arguments_.logs.place = arguments_.place;
        arguments_.logs.json = arguments_.json;
        exit_code_ = cli::logs(arguments_.logs);
    });
    CLI::App* events = verb("events");
    place_options(events, "--file");
    json_option(events);
    events->add_option("name", arguments_.events.name, "NAME or NAME.INSTANCE. Default: everything");
    events->add_flag("-f,--follow", arguments_.events.follow, "Go on with what happens from now on");
    span_options(events, arguments_.events.span);
    events->callback([this] {
        arguments_.events.place = arguments_.place;
        arguments_.events.json = arguments_.json;
        exit_code_ = cli::events(arguments_.events);
    });
}

void CommandLine::add_showing_verbs() {
    CLI::App* plan = verb("plan");
    place_options(plan);
    json_option(plan);
    plan->callback([this] { exit_code_ = cli::plan({arguments_.place, arguments_.json}); });

    CLI::App* ps = verb("ps");
    place_options(ps);
    json_option(ps);
    ps->add_flag("-q,--quiet", arguments_.ps.quiet, "Print nothing; the exit code says it");
    ps->add_flag("-w,--watch", arguments_.ps.watch, "Show it anew every second until Ctrl-C");
    ps->callback([this] {
        arguments_.ps.place = arguments_.place;
        arguments_.ps.json = arguments_.json;
        exit_code_ = cli::ps(arguments_.ps);
    });
    CLI::App* status = verb("status");
    place_options(status);
    json_option(status);
    status->callback([this] { exit_code_ = cli::status({arguments_.place, arguments_.json}); });
    CLI::App* queue = verb("queue");
    place_options(queue);
    json_option(queue);
    CLI::App* purge = queue->add_subcommand("purge", "Remove the messages of a queue that are ready");
    purge->set_help_flag("-h,--help", "Print this help and exit");
    place_options(purge);
    purge->add_option("name", arguments_.name, "The queue")->required();
    purge->callback([this] { exit_code_ = cli::queue_purge(arguments_.place, arguments_.name); });
    queue->callback([this, queue] {
        if (queue->get_subcommands().empty()) {
            exit_code_ = cli::queue_list({arguments_.place, arguments_.json});
        }
    });

    CLI::App* routes = verb("routes");
    place_options(routes);
    json_option(routes);
    routes->callback([this] { exit_code_ = cli::routes({arguments_.place, arguments_.json}); });

    CLI::App* doctor = verb("doctor");
    place_options(doctor);
    json_option(doctor);
    doctor->callback([this] { exit_code_ = cli::doctor({arguments_.place, arguments_.json}); });
}

void CommandLine::add_other_verbs() {
    CLI::App* init = verb("init");
    init->add_option("folder", arguments_.folder, "Default: the working folder")->type_name("DIR");
    init->callback([this] { exit_code_ = cli::init(arguments_.folder); });

    CLI::App* version = verb("version");
    json_option(version);
    version->callback([this] { exit_code_ = cli::version(arguments_.json); });

    CLI::App* help = verb("help");
    help->add_option("topic", arguments_.topics, "A verb, or manifest and a section of it");
    help->callback([this] { exit_code_ = this->help(); });

    CLI::App* completion = verb("completion");
    completion->add_option("shell", arguments_.shell, "bash, zsh or fish")->required();
    completion->callback([this] { exit_code_ = cli::completion(arguments_.shell); });
}

int CommandLine::overview() {
    std::string text =
        "havn: one binary, one file: gateway, queue and supervisor for your services.\n\n"
        "Usage: havn VERB [OPTIONS]\n\nVerbs:\n";
    for (const VerbEntry& verb : verb_table()) {
        text += fmt::format("  {:<12}{}\n", verb.name, verb.summary);
    }
    print(text + "\n" + help_footer());
    return Exit::ok;
}

int CommandLine::help() {
    if (arguments_.topics.empty()) return overview();
    const std::string& topic = arguments_.topics.front();
    if (topic == "manifest") return help_manifest(arguments_.topics.size() > 1 ? arguments_.topics[1] : "");
    const CLI::App* verb = find_verb(topic);
    if (!verb) {
        print_error({Error::Kind::not_found, "no verb '" + topic + "'", "`havn help` names them all"});
        return Exit::usage;
    }
    print(verb->help("havn"));
    return Exit::ok;
}

int CommandLine::run(int argc, char** argv) {
    if (argc < 2) {
        overview();
        return Exit::usage;
    }
    const std::string_view first = argv[1];
    if (first == "-h" || first == "--help") return overview();
    try {
        app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return report_mistake(error, argc, argv);
    }
    return exit_code_;
}

// Words of other tools for what a verb does here. None starts anything that was not meant.
std::string meant_by(const std::string& word) {
    static const std::map<std::string, std::string> others{
        {"stop", "`havn down` stops everything, `havn scale NAME=0` one program"},
        {"kill", "`havn down` stops everything, `havn scale NAME=0` one program"},
        {"check", "`havn plan` checks the manifest and shows what would change"},
        {"validate", "`havn plan` checks the manifest and shows what would change"},
        {"config", "`havn plan` checks the manifest and shows what would change"},
        {"diff", "`havn plan` shows what would change"},
        {"start", "`havn up` starts everything the manifest names"},
        {"deploy", "`havn up -d` applies what changed"},
        {"reload", "`havn up -d` applies what changed"},
        {"update", "`havn up -d` applies what changed"},
        {"run", "a command of your own runs in your shell; `havn up` starts what the manifest names"},
        {"exec", "a command of your own runs in your shell; `havn ps` has the pids"},
        {"top", "`havn ps --watch` shows what runs"},
        {"list", "`havn ps` shows what runs"},
        {"ls", "`havn ps` shows what runs"},
        {"info", "`havn status` shows versions and addresses, `havn ps` what runs"},
        {"tail", "`havn logs -f` follows what is printed"},
        {"log", "`havn logs` shows what instances printed"},
        {"queues", "`havn queue` shows the queues"},
    };
    const auto found = others.find(word);
    return found == others.end() ? "" : found->second;
}

// What is wrong with the command line, with the verb that was probably meant.
int CommandLine::report_mistake(const CLI::ParseError& error, int argc, char** argv) {
    if (error.get_exit_code() == 0) {  // --help, --version
        app_.exit(error);
        return Exit::ok;
    }
    const std::string first = argc > 1 ? argv[1] : "";
    const bool known = find_verb(first) != nullptr;
    if (!known && !first.starts_with('-')) {
        std::vector<std::string> names;
        for (const VerbEntry& verb : verb_table()) names.emplace_back(verb.name);
        std::string remedy = meant_by(first);
        if (const std::string close = nearest(first, names); remedy.empty() && !close.empty()) {
            remedy = "did you mean `havn " + close + "`?";
        }
        print_error({Error::Kind::invalid, "no verb '" + first + "'",
                     remedy.empty() ? "`havn help` names them all" : remedy});
        return Exit::usage;
    }
    print_error({Error::Kind::invalid, error.what(),
                 known ? "`havn help " + first + "` explains it" : "try `havn help`"});
    return Exit::usage;
}

}  // namespace

int run(int argc, char** argv) {
    return CommandLine().run(argc, argv);
}

}  // namespace havn::cli
