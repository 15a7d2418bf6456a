#include "cli/common/findings.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/net.h"

namespace havn::cli {

namespace fs = std::filesystem;

namespace {

// The median of a few small writes, each made durable, as the queue's log makes them.
Result<double> measure_fsync(const std::string& folder) {
    const std::string path = folder + "/.doctor";
    Result<io::Fd> file = io::open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!file) return std::unexpected(file.error());
    std::vector<double> samples;
    Result<> result;
    for (int i = 0; i < 11 && result; ++i) {
        const Time before = io::now();
        result = io::write_all(file->get(), std::string(4096, 'x'));
        if (result && ::fdatasync(file->get()) != 0) result = fail_errno("fdatasync");
        samples.push_back(std::chrono::duration<double, std::milli>(io::now() - before).count());
    }
    ::unlink(path.c_str());
    if (!result) return std::unexpected(result.error());
    std::ranges::sort(samples);
    return samples[samples.size() / 2];
}

void read_data_folder(HostFacts& facts) {
    fs::path folder = facts.data;  // or the nearest parent that is there
    std::error_code ignored;
    while (!fs::exists(folder, ignored) && folder.has_relative_path()) folder = folder.parent_path();
    const Result<double> fsync = measure_fsync(folder.string());
    if (fsync) {
        facts.fsync_ms = *fsync;
    } else {
        facts.data_problem = fsync.error().message;
    }
    struct statvfs space{};
    if (::statvfs(folder.c_str(), &space) == 0) facts.disk_free = space.f_bavail * space.f_frsize;
}

HostFacts read_facts(const std::string& data) {
    HostFacts facts;
    utsname host{};
    if (::uname(&host) == 0) facts.kernel = host.release;
    std::error_code ignored;
    if (fs::exists("/sys/fs/cgroup/cgroup.controllers", ignored)) {
        facts.cgroup_version = 2;
    } else if (fs::exists("/sys/fs/cgroup/memory", ignored) ||
               fs::exists("/sys/fs/cgroup/unified", ignored)) {
        facts.cgroup_version = 1;
    }
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        facts.files_soft = files.rlim_cur;
        facts.files_hard = files.rlim_max;
    }
    if (const Result<std::string> text = io::read_file("/proc/sys/net/core/somaxconn")) {
        facts.somaxconn = std::atoi(text->c_str());
    }
    struct sysinfo memory{};
    if (::sysinfo(&memory) == 0) facts.memory = static_cast<std::uint64_t>(memory.totalram) * memory.mem_unit;
    facts.data = data;
    read_data_folder(facts);
    return facts;
}

void try_ports(const Project& project, HostFacts& facts) {
    facts.running = Platform(project.data).running();
    const manifest::Parsed parsed = manifest::parse(project.toml, project.procfile);
    if (!parsed.manifest) return;
    std::vector<std::string> addresses = parsed.manifest->gateway.listen;
    if (parsed.manifest->broker.url.empty()) {
        const std::vector<std::string>& own = parsed.manifest->broker.listen;
        addresses.insert(addresses.end(), own.begin(), own.end());
    }
    const std::vector<std::string>& metrics = parsed.manifest->metrics.listen;
    addresses.insert(addresses.end(), metrics.begin(), metrics.end());
    for (const std::string& address : addresses) {
        std::string problem;
        if (!facts.running) {
            const Result<io::Fd> socket = io::listen_on(address, {.backlog = 1});
            if (!socket) problem = socket.error().message;
        }
        facts.ports.emplace_back(address, std::move(problem));
    }
}

std::string mark(Finding::Severity severity) {
    switch (severity) {
        case Finding::Severity::ok:
            return paint(Colour::green, "ok");
        case Finding::Severity::warning:
            return paint(Colour::yellow, "warning");
        case Finding::Severity::blocker:
            return paint(Colour::red, "BLOCKER");
    }
    return "";
}

}  // namespace

int doctor(const ShowOptions& options) {
    std::error_code ignored;
    const Result<Project> project = open_project(options.place);
    std::string data = project ? project->data : options.place.data;
    if (data.empty()) data = (fs::current_path(ignored) / ".havn").string();
    HostFacts facts = read_facts(data);
    if (project) try_ports(*project, facts);
    const std::vector<Finding> findings = examine(facts);
    const bool blocked = std::ranges::count(findings, Finding::Severity::blocker, &Finding::severity) > 0;
    if (options.json) {
        Json rows = Json::array();
        for (const Finding& finding : findings) rows.push_back(to_json(finding));
        print_json(rows);
        return blocked ? Exit::failed : Exit::ok;
    }
    std::vector<std::vector<std::string>> cells{{"CHECK", "RESULT", "MEASURED", "EXPECTED"}};
    for (const Finding& finding : findings) {
        cells.push_back({finding.id, mark(finding.severity), finding.measured, finding.expected});
    }
    print(table(cells));
    for (const Finding& finding : findings) {
        if (finding.severity == Finding::Severity::ok) continue;
        print(
            fmt::format("\n{} {}: {}\n  {}\n", mark(finding.severity), finding.id, finding.why, finding.fix));
    }
    print(blocked ? "\nthis host cannot run it as it is\n" : "\nthis host can run it\n");
    return blocked ? Exit::failed : Exit::ok;
}

}  // namespace havn::cli
