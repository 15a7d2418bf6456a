#include "io/inherited.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace havn::io {

namespace {

std::vector<unsigned> numbers_in(const char* variable) {
    std::vector<unsigned> numbers;
    const char* text = std::getenv(variable);
    std::string_view rest(text ? text : "");
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(' '), rest.size());
        unsigned number = 0;
        const auto [after, error] = std::from_chars(rest.data(), rest.data() + end, number);
        if (error == std::errc{}) numbers.push_back(number);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return numbers;
}

}  // namespace

std::optional<Fd> inherited_rpc_socket() {
    const std::vector<unsigned> numbers = numbers_in(rpc_variable);
    ::unsetenv(rpc_variable);
    if (numbers.size() != 1 || ::fcntl(static_cast<int>(numbers[0]), F_SETFD, FD_CLOEXEC) != 0) {
        return std::nullopt;
    }
    return Fd(static_cast<int>(numbers[0]));
}

std::set<uid_t> permitted_callers() {
    std::set<uid_t> callers{0};
    const std::vector<unsigned> named = numbers_in(callers_variable);
    callers.insert(named.begin(), named.end());
    if (named.empty()) callers.insert(::geteuid());
    return callers;
}

std::vector<gid_t> inherited_groups() {
    const std::vector<unsigned> numbers = numbers_in(groups_variable);
    return {numbers.begin(), numbers.end()};
}

void close_to_others() {
    if (!permitted_callers().contains(::geteuid())) ::prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace havn::io
