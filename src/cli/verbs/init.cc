#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/text/ascii.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/file.h"

namespace havn::cli {

namespace fs = std::filesystem;

namespace {

// A command that was found for the first service, and where it was found.
struct Found {
    std::string command;
    std::string because;
};

struct Candidate {
    const char* file;
    const char* command;
};
// Never the project's folder itself: havn.toml is in it, and .havn with what customers sent.
constexpr const char* static_files = "python3 -m http.server --bind 127.0.0.1 --directory public $PORT";
constexpr Candidate candidates[] = {
    {"manage.py", "python3 manage.py runserver --noreload 127.0.0.1:$PORT"},
    {"wsgi.py", "gunicorn --bind 127.0.0.1:$PORT wsgi"},
    {"app.py", "python3 app.py"},
    {"main.py", "python3 main.py"},
    {"server.py", "python3 server.py"},
    {"package.json", "npm start"},
    {"server.js", "node server.js"},
    {"index.js", "node index.js"},
    {"config.ru", "bundle exec rackup --host 127.0.0.1 --port $PORT"},
    {"public/index.php", "php -S 127.0.0.1:$PORT -t public"},
    {"index.php", "php -S 127.0.0.1:$PORT -t public"},
    {"public", static_files},
    {"index.html", static_files},
};

Found find_command(const fs::path& folder) {
    for (const Candidate& candidate : candidates) {
        std::error_code ignored;
        if (fs::exists(folder / candidate.file, ignored)) {
            return {candidate.command, fmt::format("because there is {}", candidate.file)};
        }
    }
    return {static_files, "an example: put your own here"};
}

// Names in the manifest are lower-case letters, digits, - and _, and begin with a letter or digit.
std::string app_of(const fs::path& folder) {
    std::string name;
    for (const char c : ascii_lower(folder.filename().string())) {
        if (is_ascii_alphanumeric(c) || (c == '_' && !name.empty())) {
            name += c;
        } else if (!name.empty()) {
            name += '-';
        }
    }
    return name.empty() ? "app" : name.substr(0, 63);
}

constexpr const char* head =
    R"(# What Havn runs here. `havn up` starts it, `havn help manifest` explains every key.
app = "{}"

[gateway]
listen = ["127.0.0.1:8080"]                 # where visitors arrive; "0.0.0.0:8080" for those from outside

[broker]
listen = ["127.0.0.1:5672"]                 # AMQP 0-9-1, for workers; instances find it in $AMQP_URL
)";

constexpr const char* service = R"(
[service.web]
command = "{}"   # {}
# instances = 2                             # each gets its own $PORT
# healthcheck = {{ path = "/up" }}            # ready when this answers; without it, when $PORT accepts

[route."/"]                                 # the longest match wins
service = "web"
# timeout = "30s"                           # for the whole exchange
)";

constexpr const char* with_procfile = R"(
# The commands stand in the Procfile: `web` answers at "/", every other entry is a worker. What is said
# here about one of them adds to it:
#
# [service.web]
# instances = 2
)";

constexpr const char* tail = R"(
# Slow work goes through a queue: on disk first, then 202 Accepted; a worker takes it from there.
#
# [route."/orders"]
# methods = ["POST"]
# queue = "orders"
#
# [queue.orders]
# max_attempts = 5
#
# [worker.orders]
# command = "python3 worker.py"
# queue = "orders"
)";

// What the written command serves, and what it leaves in the folder for others not to take.
Result<> make_public(const fs::path& home, const std::string& command) {
    if (command.find(" public") == std::string::npos) return {};
    if (Result<> made = io::make_folder((home / "public").string(), 0755); !made) return made;
    for (const char* name : {"index.html", "index.php"}) {
        std::error_code ignored;
        if (!fs::exists(home / name, ignored) || fs::exists(home / "public" / name, ignored)) continue;
        print(fmt::format("only what is in public/ is served: move {} and what belongs to it there\n", name));
    }
    return {};
}

// The data folder does not belong into anybody's repository.
Result<> ignore_data(const fs::path& home) {
    const std::string path = (home / ".gitignore").string();
    const Result<std::string> before = io::read_file(path);
    if (!before && before.error().kind != Error::Kind::not_found) return std::unexpected(before.error());
    const std::string lines = "\n" + before.value_or("");
    for (const char* line : {"\n.havn/\n", "\n.havn\n", "\n/.havn/\n", "\n/.havn\n"}) {
        if (lines.find(line) != std::string::npos) return {};
    }
    const Result<io::Fd> file = io::open_regular(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (!file) return std::unexpected(file.error());
    return io::write_all(file->get(), lines.ends_with('\n') ? ".havn/\n" : "\n.havn/\n");
}

}  // namespace

int init(const std::string& folder) {
    std::error_code error;
    const fs::path where = fs::absolute(folder.empty() ? "." : folder, error).lexically_normal();
    const fs::path home = where.has_filename() ? where : where.parent_path();
    const std::string path = (home / "havn.toml").string();
    const bool procfile = fs::exists(home / "Procfile", error);
    std::string text = fmt::format(fmt::runtime(head), app_of(home));
    const Found found = procfile ? Found{} : find_command(home);
    text += procfile ? with_procfile : fmt::format(fmt::runtime(service), found.command, found.because);
    text += tail;
    const Result<io::Fd> file = io::open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!file && file.error().kind == Error::Kind::conflict) {
        return print_error(
            {Error::Kind::conflict, path + " is there already", "edit it, or remove it first"});
    }
    if (!file) return print_error(file.error());
    if (Result<> written = io::write_all(file->get(), text); !written) return print_error(written.error());
    if (Result<> made = make_public(home, found.command); !made) return print_error(made.error());
    if (Result<> ignored = ignore_data(home); !ignored) return print_error(ignored.error());
    print(fmt::format("wrote {}; type `havn up` to start what it says\n", path));
    return Exit::ok;
}

}  // namespace havn::cli
