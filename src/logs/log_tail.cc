#include "logs/log_tail.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "io/file.h"

namespace havn::logs {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t block_bytes = 64u << 10;
constexpr std::size_t poll_bytes_max = 1u << 20;

}  // namespace

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

namespace {

std::string read_at(int fd, std::uint64_t position, std::size_t size) {
    std::string data(size, '\0');
    const ssize_t got = ::pread(fd, data.data(), size, static_cast<off_t>(position));
    data.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return data;
}

std::uint64_t size_of(int fd) {
    struct stat status{};
    return ::fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

}  // namespace

bool LogQuery::wants(const LogEntry& entry) const {
    if (since && entry.time < *since) return false;
    if (until && entry.time > *until) return false;
    return !matches || matches(entry.text);
}

namespace {

// The whole lines of a log and of what was set aside of it, the newest first.
class ReverseLines {
  public:
    // `end`: of the open file, just after its last whole line.
    ReverseLines(const std::string& path, io::Fd file, std::uint64_t end)
        : path_(path), file_(std::move(file)), end_(end) {}

    // Nothing when there is no older line. Without its newline; a line that is too long comes in pieces, the
    // last one first.
    std::optional<std::string> next() {
        for (;;) {
            if (pending_) {
                const std::size_t newline = text_.rfind('\n');
                if (newline != std::string::npos) {
                    std::string line = text_.substr(newline + 1);
                    text_.resize(newline);
                    return line;
                }
                if (end_ == 0 || text_.size() > LogTail::line_bytes_max) {
                    pending_ = end_ > 0;
                    return std::exchange(text_, {});
                }
                read_block();
            } else if (file_ && end_ > 0) {
                read_block();
                if (text_.ends_with('\n')) text_.pop_back();  // it ends the last line and begins none
                pending_ = true;
            } else if (!open_older()) {
                return std::nullopt;
            }
        }
    }

  private:
    void read_block() {
        const std::uint64_t from = end_ > block_bytes ? end_ - block_bytes : 0;
        const std::string data = read_at(file_.get(), from, static_cast<std::size_t>(end_ - from));
        end_ = data.empty() ? 0 : from;
        text_.insert(0, data);
    }

    bool open_older() {
        Result<io::Fd> older =
            io::open_regular(fmt::format("{}.{}", path_, ++set_aside_), O_RDONLY | O_NOFOLLOW);
        if (!older) return false;
        file_ = std::move(*older);
        end_ = size_of(file_.get());
        return true;
    }

    std::string path_;
    io::Fd file_;
    std::uint64_t end_;  // what lies before it was not read yet
    unsigned set_aside_ = 0;
    std::string text_;      // read, and not handed out
    bool pending_ = false;  // text_ ends with a line that was not handed out, which may be empty
};

}  // namespace

// Lines are read backwards until there are enough, then put together forwards: pieces of one line may stand
// apart. A line that is split where it matches is not counted, so one more is read; none is missed.
std::vector<LogEntry> LogTail::last(const LogQuery& query) {
    std::uint64_t end = 0;
    io::Fd copy;
    if (file_) {
        end = size_of(file_.get());
        const std::uint64_t from = end > block_bytes ? end - block_bytes : 0;
        const std::string tail = read_at(file_.get(), from, static_cast<std::size_t>(end - from));
        const std::size_t newline = tail.rfind('\n');
        // A line still being written is read again, whole, by poll().
        position_ = end = newline == std::string::npos ? from : from + newline + 1;
        copy = io::Fd(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
    }
    const std::size_t wanted = std::min(query.lines, LogQuery::lines_max);
    std::vector<std::string> lines;
    std::size_t found = 0;
    ReverseLines older(path_, std::move(copy), end);
    for (std::optional<std::string> line; found < wanted && (line = older.next());) {
        LogAssembler alone;
        std::vector<LogEntry> entries;
        alone.add(*line, entries);
        alone.finish(entries);
        lines.push_back(std::move(*line));
        const LogEntry& entry = entries.front();
        if (query.since && entry.time != WallTime{} && entry.time < *query.since) break;
        if (query.wants(entry)) ++found;
    }
    std::vector<LogEntry> entries;
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) assembler_.add(*line, entries);
    WallTime time{};
    for (LogEntry& entry : entries) entry.time = time = entry.time == WallTime{} ? time : entry.time;
    std::erase_if(entries, [&](const LogEntry& entry) { return !query.wants(entry); });
    if (entries.size() > wanted) entries.erase(entries.begin(), entries.end() - static_cast<long>(wanted));
    return entries;
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

std::vector<LogEntry> LogTail::poll() {
    std::vector<std::string> lines = read_lines();  // of a file set aside meanwhile: what it got before
    if (lines.empty() && reopen()) {
        if (!partial_.empty()) lines.push_back(std::exchange(partial_, {}));
        const std::vector<std::string> more = read_lines();
        lines.insert(lines.end(), more.begin(), more.end());
    }
    std::vector<LogEntry> entries;
    for (const std::string& line : lines) assembler_.add(line, entries);
    return entries;
}

namespace {

// "NAME.INSTANCE.log" or "NAME.log"; nothing for other files and for those set aside.
std::optional<LogSource> source_of(const fs::path& path) {
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

// The logs of one folder, whose names begin with `prefix`.
void add_logs(const std::string& folder, const std::string& prefix, const std::string& name,
              std::uint32_t instance, std::vector<LogSource>& found) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        std::optional<LogSource> source = source_of(entry->path());
        if (!source) continue;
        source->name = prefix + source->name;
        const bool wanted = name.empty() ? source->instance > 0 : source->name == name;
        if (wanted && (instance == 0 || source->instance == instance)) found.push_back(std::move(*source));
    }
}

}  // namespace

std::vector<LogSource> find_logs(const std::string& folder, const std::string& name, std::uint32_t instance) {
    std::vector<LogSource> found;
    add_logs(folder, "", name, instance, found);
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        std::error_code ignored;
        if (!entry->is_directory(ignored)) continue;
        const std::string inner = entry->path().filename().string();
        // A part that writes by itself has a folder of its own, and so has each application with a key.
        add_logs(entry->path().string(), inner == "gateway" ? "" : inner + "/", name, instance, found);
    }
    std::ranges::sort(found, [](const LogSource& a, const LogSource& b) {
        return std::tie(a.name, a.instance) < std::tie(b.name, b.instance);
    });
    return found;
}

}  // namespace havn::logs
