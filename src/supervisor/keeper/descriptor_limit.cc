#include "supervisor/keeper/descriptor_limit.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

#include "io/host.h"

namespace havn::supervisor {

std::uint64_t descriptors_needed(const Desired& desired) {
    static constexpr std::uint64_t for_the_platform = 320;
    std::uint64_t needed = for_the_platform;
    for (const Program& program : desired.programs) {
        const std::uint64_t at_a_time = std::uint64_t{program.instances} + program.instances / 4 + 1;
        needed += at_a_time * (program.kind == Kind::service ? 5 : 4);
    }
    return needed;
}

void raise_limit_remembering() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        ::setenv(files_variable, std::to_string(limit.rlim_cur).c_str(), 0);
    }
    io::raise_descriptor_limit();
}

std::uint64_t files_soft_of_programs() {
    const char* text = std::getenv(files_variable);
    std::uint64_t number = 0;
    if (text) std::from_chars(text, text + std::string_view(text).size(), number);
    return number;
}

Result<> enough_descriptors(const Desired& desired) {
    rlimit limit{};
    const std::uint64_t needed = descriptors_needed(desired);
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return {};
    return fail(
        Error::Kind::unavailable,
        fmt::format("the supervisor needs {} open files for these instances, and may have {}", needed,
                    limit.rlim_cur),
        fmt::format("raise the hard limit (`ulimit -Hn {0}` as root, LimitNOFILE={0} in a systemd unit), "
                    "then `havn down` and `havn up`",
                    needed));
}

}  // namespace havn::supervisor
