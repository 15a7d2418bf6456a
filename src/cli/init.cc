#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cli/terminal.h"
#include "cli/verbs.h"
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
    {"index.php", "php -S 127.0.0.1:$PORT"},
    {"index.html", "python3 -m http.server --bind 127.0.0.1 $PORT"},
};

Found find_command(const fs::path& folder) {
    for (const Candidate& candidate : candidates) {
        std::error_code ignored;
        if (fs::exists(folder / candidate.file, ignored)) {
            return {candidate.command, fmt::format("because there is {}", candidate.file)};
        }
    }
    return {"python3 -m http.server --bind 127.0.0.1 $PORT", "an example: put your own here"};
}

}  // namespace

// Names in the manifest are lower-case letters, digits, - and _, and begin with a letter or digit.
static std::string app_of(const fs::path& folder) {
    std::string name;
    for (char c : folder.filename().string()) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (alphanumeric || (c == '_' && !name.empty())) {
            name += c;
        } else if (!name.empty()) {
            name += '-';
        }
    }
    return name.empty() ? "app" : name.substr(0, 63);
}

static constexpr const char* head =
    R"(# What Havn runs here. `havn up` starts it, `havn help manifest` explains every key.
app = "{}"

[gateway]
listen = ["0.0.0.0:8080"]                   # where visitors arrive

[broker]
listen = ["127.0.0.1:5672"]                 # AMQP 0-9-1, for workers; instances find it in $AMQP_URL
)";

static constexpr const char* service = R"(
[service.web]
command = "{}"   # {}
# instances = 2                             # each gets its own $PORT
# healthcheck = {{ path = "/up" }}            # ready when this answers; without it, when $PORT accepts

[route."/"]                                 # the longest match wins
service = "web"
# timeout = "30s"                           # for the whole exchange
)";

static constexpr const char* with_procfile = R"(
# The commands stand in the Procfile: `web` answers at "/", every other entry is a worker. What is said
# here about one of them adds to it:
#
# [service.web]
# instances = 2
)";

static constexpr const char* tail = R"(
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

int init(const std::string& folder) {
    std::error_code error;
    const fs::path where = fs::absolute(folder.empty() ? "." : folder, error).lexically_normal();
    const fs::path home = where.has_filename() ? where : where.parent_path();
    const std::string path = (home / "havn.toml").string();
    const bool procfile = fs::exists(home / "Procfile", error);
    std::string text = fmt::format(fmt::runtime(head), app_of(home));
    if (procfile) {
        text += with_procfile;
    } else {
        const Found found = find_command(home);
        text += fmt::format(fmt::runtime(service), found.command, found.because);
    }
    text += tail;
    const Result<io::Fd> file = io::open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!file && file.error().kind == Error::Kind::conflict) {
        return print_error(
            {Error::Kind::conflict, path + " is there already", "edit it, or remove it first"});
    }
    if (!file) return print_error(file.error());
    if (Result<> written = io::write_all(file->get(), text); !written) return print_error(written.error());
    print(fmt::format("wrote {}; type `havn up` to start what it says\n", path));
    return Exit::ok;
}

}  // namespace havn::cli
