#include <fmt/format.h>

#include <charconv>

#include "cli/common/findings.h"

namespace havn::cli {

using Severity = Finding::Severity;

namespace {

constexpr std::uint64_t mebibyte = 1u << 20;

// A finding that is fine, or not with `severity`, and then says why it matters and what to do.
Finding judge(std::string id, bool fine, Severity severity, std::string measured, std::string expected,
              std::string why, std::string fix) {
    Finding finding{
        std::move(id), fine ? Severity::ok : severity, std::move(measured), std::move(expected), {}, {}};
    if (!fine) {
        finding.why = std::move(why);
        finding.fix = std::move(fix);
    }
    return finding;
}

// "6.1.0-13-amd64" is at least `major`.`minor`.
bool kernel_at_least(const std::string& release, int major, int minor) {
    int found_major = 0, found_minor = 0;
    const char* end = release.data() + release.size();
    const auto [dot, error] = std::from_chars(release.data(), end, found_major);
    if (error == std::errc{} && dot != end) std::from_chars(dot + 1, end, found_minor);
    return found_major > major || (found_major == major && found_minor >= minor);
}

Finding judge_disk(const HostFacts& facts) {
    const bool enough_to_run = facts.disk_free >= 64 * mebibyte;
    return judge(
        "disk.free", facts.disk_free >= 1024 * mebibyte,
        enough_to_run ? Severity::warning : Severity::blocker,
        fmt::format("{} MiB", facts.disk_free / mebibyte), "1024 MiB or more",
        "queues and logs are kept there; a full disk holds publishers back",
        "free space on the file system of " + facts.data + ", or give another folder with --data DIR");
}

void judge_data(const HostFacts& facts, std::vector<Finding>& findings) {
    findings.push_back(judge("data.writable", facts.data_problem.empty(), Severity::blocker,
                             facts.data_problem.empty() ? "writable" : facts.data_problem, "writable",
                             "configuration, queues and logs are kept in " + facts.data,
                             "make it writable for this user, or give another folder with --data DIR"));
    if (!facts.data_problem.empty()) return;
    findings.push_back(judge(
        "data.fsync", facts.fsync_ms < 10, Severity::warning, fmt::format("{:.2f} ms", facts.fsync_ms),
        "below 10 ms", "every durable message waits for one: a single publisher gets about one per fsync",
        "put the data folder on a disk with a faster or battery-backed cache"));
    findings.push_back(judge_disk(facts));
}

}  // namespace

std::vector<Finding> examine(const HostFacts& facts) {
    std::vector<Finding> findings;
    findings.push_back(judge("kernel.version", kernel_at_least(facts.kernel, 5, 4), Severity::blocker,
                             facts.kernel, "5.4 or newer", "processes are watched through pidfds",
                             "upgrade the kernel; Debian 12 has 6.1"));
    findings.push_back(judge("kernel.cgroup", facts.cgroup_version > 0, Severity::warning,
                             facts.cgroup_version > 0 ? fmt::format("v{}", facts.cgroup_version) : "none",
                             "v1 or v2", "limits on memory and CPU of services need them",
                             "mount cgroup2 at /sys/fs/cgroup"));
    findings.push_back(judge("limits.files", facts.files_hard >= 4096, Severity::warning,
                             fmt::format("{} (hard {})", facts.files_soft, facts.files_hard),
                             "hard limit 4096 or more",
                             "each connection takes a descriptor, or two while it is proxied",
                             "raise it: `ulimit -Hn 65536` as root, or LimitNOFILE=65536 in the unit"));
    findings.push_back(judge(
        "net.somaxconn", facts.somaxconn >= 1024, Severity::warning, std::to_string(facts.somaxconn),
        "1024 or more", "connections wait there while the gateway is replaced; more than that are refused",
        "sysctl -w net.core.somaxconn=4096"));
    findings.push_back(judge("memory.total", facts.memory >= 256 * mebibyte, Severity::warning,
                             fmt::format("{} MiB", facts.memory / mebibyte), "256 MiB or more",
                             "the platform takes about 60 MiB, the application its own",
                             "use a larger machine"));
    judge_data(facts, findings);
    for (const auto& [address, problem] : facts.ports) {
        const char* fix = "stop what has it (`ss -ltnp` names it), or give another address in havn.toml";
        if (problem.contains("no permission")) {
            fix = "ports below 1024 need root; or give a port above in havn.toml";
        }
        if (problem.contains("no interface")) fix = "`ip -brief address` shows the addresses there are";
        const std::string found = !problem.empty() ? problem : facts.running ? "ours" : "free";
        findings.push_back(judge("port." + address, problem.empty(), Severity::blocker, found, "free",
                                 "the manifest wants to listen there", fix));
    }
    return findings;
}

namespace {

std::string_view name(Severity severity) {
    switch (severity) {
        case Severity::ok:
            return "ok";
        case Severity::warning:
            return "warning";
        case Severity::blocker:
            return "blocker";
    }
    return "ok";
}

}  // namespace

Json to_json(const Finding& finding) {
    return {{"id", finding.id},
            {"severity", name(finding.severity)},
            {"measured", finding.measured},
            {"expected", finding.expected},
            {"why", finding.why},
            {"fix", finding.fix}};
}

}  // namespace havn::cli
