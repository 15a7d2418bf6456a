#include "io/binary.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "io/fd.h"
#include "io/file.h"

namespace havn::io {

namespace {

Result<std::string> read_id() {
    Result<Fd> file = open_file("/proc/self/exe", O_RDONLY, 0);
    if (!file) return std::unexpected(file.error());
    std::string buffer(1u << 20, '\0');
    std::uint32_t checksum = 0;
    std::uint64_t size = 0;
    for (;;) {
        const ssize_t got = ::read(file->get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("read /proc/self/exe");
        if (got == 0) break;
        checksum = crc32c(std::string_view(buffer).substr(0, static_cast<std::size_t>(got)), checksum);
        size += static_cast<std::uint64_t>(got);
    }
    return fmt::format("{}-{:08x}", size, checksum);
}

}  // namespace

Result<std::string> binary_id() {
    static const Result<std::string> id = read_id();
    return id;
}

}  // namespace havn::io
