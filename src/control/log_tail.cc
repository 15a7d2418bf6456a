#include "control/log_tail.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "io/file.h"

namespace havn::control {

namespace fs = std::filesystem;

static constexpr std::size_t block_bytes = 64u << 10;
static constexpr std::size_t poll_bytes_max = 1u << 20;

LogTail::LogTail(std::string path) : path_(std::move(path)) {
    reopen();
}

// True when the path is another file than the one open (or the first).
bool LogTail::reopen() {
    struct stat status{};
    if (::stat(path_.c_str(), &status) != 0) return false;
    if (file_ && status.st_ino == inode_) return false;
    Result<io::Fd> opened = io::open_regular(path_, O_RDONLY | O_NOFOLLOW);
    if (!opened || ::fstat(opened->get(), &status) != 0) return false;
    file_ = std::move(*opened);
    inode_ = status.st_ino;
    position_ = 0;
    return true;
}

static std::string read_at(int fd, std::uint64_t position, std::size_t size) {
    std::string data(size, '\0');
    const ssize_t got = ::pread(fd, data.data(), size, static_cast<off_t>(position));
    data.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return data;
}

// The last lines of an open file up to `end`, read backwards block by block.
static std::vector<std::string> last_lines(int fd, std::uint64_t end, std::size_t count) {
    std::string text;
    while (end > 0 && static_cast<std::size_t>(std::ranges::count(text, '\n')) <= count) {
        const std::uint64_t from = end > block_bytes ? end - block_bytes : 0;
        text.insert(0, read_at(fd, from, static_cast<std::size_t>(end - from)));
        end = from;
    }
    std::vector<std::string> lines;
    std::size_t begin = 0;
    for (std::size_t newline; (newline = text.find('\n', begin)) != std::string::npos; begin = newline + 1) {
        lines.push_back(text.substr(begin, newline - begin));
    }
    if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
    return lines;
}

std::vector<std::string> LogTail::last(std::size_t count) {
    std::vector<std::string> lines;
    if (file_) {
        struct stat status{};
        if (::fstat(file_.get(), &status) != 0) return lines;
        std::uint64_t end = static_cast<std::uint64_t>(status.st_size);
        lines = last_lines(file_.get(), end, count);
        // A line still being written is read again, whole, by poll().
        const std::string tail = read_at(file_.get(), end > block_bytes ? end - block_bytes : 0,
                                         static_cast<std::size_t>(std::min<std::uint64_t>(end, block_bytes)));
        const std::size_t newline = tail.rfind('\n');
        position_ = newline == std::string::npos ? end - tail.size() : end - (tail.size() - newline - 1);
    }
    if (lines.size() < count) {
        if (Result<io::Fd> older = io::open_regular(path_ + ".1", O_RDONLY | O_NOFOLLOW)) {
            struct stat status{};
            if (::fstat(older->get(), &status) != 0) return lines;
            std::vector<std::string> before =
                last_lines(older->get(), static_cast<std::uint64_t>(status.st_size), count - lines.size());
            lines.insert(lines.begin(), before.begin(), before.end());
        }
    }
    return lines;
}

std::vector<std::string> LogTail::read_lines() {
    std::vector<std::string> lines;
    if (!file_) return lines;
    for (std::size_t total = 0; total < poll_bytes_max;) {
        const std::string data = read_at(file_.get(), position_, block_bytes);
        if (data.empty()) break;
        total += data.size();
        position_ += data.size();
        partial_ += data;
        std::size_t begin = 0;
        for (std::size_t newline; (newline = partial_.find('\n', begin)) != std::string::npos;
             begin = newline + 1) {
            lines.push_back(partial_.substr(begin, newline - begin));
        }
        partial_.erase(0, begin);
        if (partial_.size() > line_bytes_max) lines.push_back(std::exchange(partial_, {}));
    }
    return lines;
}

std::vector<std::string> LogTail::poll() {
    std::vector<std::string> lines = read_lines();  // of a file set aside meanwhile: what it got before
    if (lines.empty() && reopen()) {
        if (!partial_.empty()) lines.push_back(std::exchange(partial_, {}));
        const std::vector<std::string> more = read_lines();
        lines.insert(lines.end(), more.begin(), more.end());
    }
    return lines;
}

// "NAME.INSTANCE.log" or "NAME.log"; nothing for other files and for those set aside.
static std::optional<LogSource> source_of(const fs::path& path) {
    std::string stem = path.filename().string();
    if (!stem.ends_with(".log")) return std::nullopt;
    stem.resize(stem.size() - 4);
    LogSource source{stem, 0, path.string()};
    const std::size_t dot = stem.rfind('.');
    if (dot == std::string::npos) return source;
    std::uint32_t instance = 0;
    auto [end, error] = std::from_chars(stem.data() + dot + 1, stem.data() + stem.size(), instance);
    if (error != std::errc{} || end != stem.data() + stem.size() || instance == 0) return source;
    source.name = stem.substr(0, dot);
    source.instance = instance;
    return source;
}

std::vector<LogSource> find_logs(const std::string& folder, const std::string& name, std::uint32_t instance) {
    std::vector<LogSource> found;
    std::error_code error;
    for (const char* part : {"", "/gateway"}) {  // a part that writes by itself has a folder of its own
        fs::directory_iterator entry(folder + part, error), end;
        for (; !error && entry != end; entry.increment(error)) {
            std::optional<LogSource> source = source_of(entry->path());
            if (!source) continue;
            const bool wanted = name.empty() ? source->instance > 0 : source->name == name;
            if (wanted && (instance == 0 || source->instance == instance))
                found.push_back(std::move(*source));
        }
    }
    std::ranges::sort(found, [](const LogSource& a, const LogSource& b) {
        return std::tie(a.name, a.instance) < std::tie(b.name, b.instance);
    });
    return found;
}

}  // namespace havn::control
