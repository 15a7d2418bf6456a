#include "io/host.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace havn::io {

namespace {

constexpr std::uint64_t unknown_memory_bytes = 1ull << 30;

std::uint64_t number_in(const std::string& path, std::uint64_t otherwise) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    return file >> number ? number : otherwise;  // "max" is no number: no limit
}

// The path of this process's cgroup in the hierarchy that `marker` ends its line's middle field with.
std::string cgroup_path(std::string_view marker) {
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        if (line.substr(first + 1, second - first - 1) == marker) return line.substr(second + 1);
    }
    return {};
}

}  // namespace

std::uint64_t host_memory_bytes() {
    const long pages = ::sysconf(_SC_PHYS_PAGES), page_bytes = ::sysconf(_SC_PAGESIZE);
    std::uint64_t bytes = unknown_memory_bytes;
    if (pages > 0 && page_bytes > 0) {
        bytes = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
    }
    const std::string root = "/sys/fs/cgroup";
    const std::string v2 = root + cgroup_path("") + "/memory.max";
    const std::string v1 = root + "/memory" + cgroup_path("memory") + "/memory.limit_in_bytes";
    return std::min({bytes, number_in(v2, bytes), number_in(v1, bytes)});
}

std::uint64_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    return ::setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

}  // namespace havn::io
