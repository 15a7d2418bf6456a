#include "supervisor/core/authority.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace havn::supervisor {

namespace {

bool is_added_by_control(const std::string& variable) {
    return variable == "AMQP_URL" || variable == "HAVN_APP" || variable.ends_with("_URL");
}

}  // namespace

bool is_as_written(const Program& asked, const Program& written) {
    const auto said = [](const Program& program) {
        return std::tie(program.name, program.kind, program.command, program.directory, program.user);
    };
    if (said(asked) != said(written)) return false;
    for (const auto& [variable, value] : written.environment) {
        const auto found = asked.environment.find(variable);
        if (found == asked.environment.end() || found->second != value) return false;
    }
    return std::ranges::all_of(asked.environment, [&written](const auto& entry) {
        return written.environment.contains(entry.first) || is_added_by_control(entry.first);
    });
}

namespace {

const Program* find_in(const std::vector<Program>& programs, const Program& asked) {
    const auto found = std::ranges::find_if(
        programs, [&asked](const Program& program) { return is_as_written(asked, program); });
    return found == programs.end() ? nullptr : &*found;
}

}  // namespace

void note_authors(Desired& wanted, const Desired& accepted, const std::optional<Authored>& manifest) {
    for (Program& program : wanted.programs) {
        program.written_by.reset();
        if (manifest && find_in(manifest->programs, program)) {
            program.written_by = manifest->author;
        } else if (const Program* before = find_in(accepted.programs, program)) {
            program.written_by = before->written_by;
        }
    }
}

Result<> may_run(const Program& program, const Identity& identity) {
    const bool by_root = program.written_by == 0u;
    if (identity.uid != identity.app && !by_root && program.written_by != identity.uid) {
        const std::string who = identity.uid == 0 ? "root" : fmt::format("uid {}", identity.uid);
        return fail(Error::Kind::denied,
                    fmt::format("'{}' would run as {}, and no manifest of root's{} says so", program.name,
                                who, identity.uid == 0 ? "" : " or that user's"),
                    identity.uid == 0
                        ? "let root own the havn.toml that says it, and nobody else write it (chown root, "
                          "chmod go-w), and type `havn up` again"
                        : "let root or that user own the havn.toml, and nobody else write it, and type `havn "
                          "up` again");
    }
    if (identity.uid == 0 && program.user.empty()) {
        return fail(Error::Kind::denied, fmt::format("'{}' does not say that it runs as root", program.name),
                    "write `user = \"root\"`, or name another");
    }
    const bool known = identity.folder_owner == 0 || identity.folder_owner == identity.uid ||
                       program.written_by == identity.folder_owner || by_root;
    if (known || identity.uid == identity.app) return {};
    return fail(Error::Kind::denied,
                fmt::format("'{}' would run in a folder of uid {}, as uid {}", program.name,
                            identity.folder_owner, identity.uid),
                "let root, or the user it runs as, own " + program.directory);
}

}  // namespace havn::supervisor
