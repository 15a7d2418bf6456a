#include "cli/common/platform.h"

#include <fcntl.h>

#include <charconv>
#include <optional>

#include "io/clock.h"
#include "io/file.h"
#include "io/loop.h"
#include "rpc/client.h"

namespace havn::cli {

namespace {

constexpr Duration accept_timeout = seconds(90);  // of a change: its turn, and all that must agree
constexpr Duration control_timeout = seconds(5);  // to come back after it died
constexpr Duration retry_pause = milliseconds(20);

}  // namespace

using rpc::Task;

Error Platform::not_running() {
    return {Error::Kind::unavailable, "not running", "start it with `havn up`"};
}

Error Platform::went_away() {
    return {Error::Kind::unavailable, "control went away before it said how it ended",
            "what it had accepted goes on; `havn ps` shows how far it is"};
}

namespace {

// Somebody listens and says nothing: control is stopped or stuck. Whatever it controls runs on.
Error with_remedy(Error error, const std::string& data) {
    if (error.kind == Error::Kind::denied && error.remedy.empty()) {
        error.remedy = "the platform belongs to another user: ask as that user, or as root";
        return error;
    }
    const bool of_control =
        error.message.contains("control.sock") || error.message.starts_with("no word for");
    if (error.kind == Error::Kind::unavailable && error.remedy.empty() && of_control) {
        error.message = "control does not answer (" + error.message + ")";
        error.remedy = "everything else runs on; " + data +
                       "/logs/control.log may say why, and it is back at once when its process is killed";
    }
    return error;
}

}  // namespace

// The lock is asked about, not tried: that would be in the way of a supervisor that takes it just now.
bool Platform::running() const {
    const Result<io::Fd> file = io::open_regular(data_ + "/run/lock", O_RDONLY | O_NOFOLLOW);
    if (!file) return file.error().kind == Error::Kind::denied;  // another user's: whoever asks is told
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return ::fcntl(file->get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int Platform::supervisor_pid() const {
    const Result<std::string> text = io::read_file(data_ + "/run/lock");
    int pid = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), pid);
    return pid;
}

namespace {

struct Call {
    std::string address, method, target;
    Json body;
    Duration timeout;
};

// One call of a Platform, on a loop of its own. `again` says whether another attempt makes sense.
class Conversation {
  public:
    Conversation(Call call, std::function<bool()> again) : call_(std::move(call)), again_(std::move(again)) {}

    Result<Json> request() {
        loop_.spawn(do_request());
        loop_.run();
        return std::move(*answer_);
    }

    Result<> stream(const std::function<bool(const Json&)>& on_line) {
        loop_.spawn(do_stream(on_line));
        loop_.run();
        return std::move(ended_);
    }

  private:
    // Nobody took the request, or one that changes nothing was lost with control: it can be made again.
    Task<bool> worth_repeating(Error error, Time deadline) {
        const bool refused = error.message.starts_with("connect to");
        const bool lost = call_.method == "GET" && error.message.ends_with(": no answer");
        const bool absent = error.kind == Error::Kind::unavailable && (refused || lost);
        if (!absent || io::now() > deadline || !again_()) co_return false;
        co_await io::sleep_for(retry_pause);
        co_return true;
    }

    Task<void> do_request() {
        const Time deadline = io::now() + control_timeout;
        for (;;) {
            rpc::Client client(call_.address);
            answer_ = co_await client.request(call_.method, call_.target, call_.body, call_.timeout);
            if (*answer_) co_return;
            const bool repeat = co_await worth_repeating(answer_->error(), deadline);
            if (!repeat) co_return;
        }
    }

    Task<void> do_stream(std::function<bool(const Json&)> on_line) {
        const Time deadline = io::now() + control_timeout;
        for (;;) {
            rpc::Client client(call_.address);
            Result<rpc::LineReader> lines =
                co_await client.stream(call_.method, call_.target, call_.body, call_.timeout);
            if (lines) {
                co_await read(std::move(*lines), std::move(on_line));
                co_return;
            }
            const bool repeat = co_await worth_repeating(lines.error(), deadline);
            if (!repeat) {
                ended_ = std::unexpected(lines.error());
                co_return;
            }
        }
    }

    Task<void> read(rpc::LineReader lines, std::function<bool(const Json&)> on_line) {
        for (;;) {
            Result<std::optional<Json>> line = co_await lines.next(Platform::silence_max);
            if (!line) {
                ended_ = std::unexpected(line.error());
                co_return;
            }
            if (!*line || !on_line(**line)) co_return;
        }
    }

    io::Loop loop_;
    Call call_;
    std::function<bool()> again_;
    std::optional<Result<Json>> answer_;
    Result<> ended_;
};

}  // namespace

Result<Json> Platform::get(const std::string& target, Duration timeout) const {
    return send("GET", target, nullptr, timeout);
}

namespace {

void add_word_of(const std::string& part, const Platform& platform, Json& rows) {
    for (Json& row : rows) {
        if (!row.is_object() || row.value("name", "") != part || row.value("kind", "") != "platform") {
            continue;
        }
        if (row.value("state", "") != "ready" || row.value("outdated", false)) continue;
        const Result<Json> answer = platform.get("/v1/" + part, seconds(3));
        if (answer && answer->is_object()) row[part] = *answer;
        if (!answer && answer.error().kind == Error::Kind::unavailable) {
            row[part] = {{"answers", false}, {"message", "the " + part + " does not answer"}};
        }
    }
}

}  // namespace

Result<Json> Platform::processes() const {
    Result<Json> rows = get("/v1/processes");
    if (!rows) return rows;
    add_word_of("gateway", *this, *rows);
    add_word_of("broker", *this, *rows);
    return rows;
}

Result<Json> Platform::send(const std::string& method, const std::string& target, const Json& body,
                            Duration timeout) const {
    if (!running()) return std::unexpected(not_running());
    Result<Json> answer = Conversation({socket_address(), method, target, body, timeout}, [this] {
                              return running();
                          }).request();
    if (!answer) return std::unexpected(with_remedy(answer.error(), data_));
    return answer;
}

Result<> Platform::stream(const std::string& method, const std::string& target, const Json& body,
                          const std::function<bool(const Json&)>& on_line) const {
    if (!running()) return std::unexpected(not_running());
    const Result<> ended = Conversation({socket_address(), method, target, body, accept_timeout}, [this] {
                               return running();
                           }).stream(on_line);
    if (!ended) return std::unexpected(with_remedy(ended.error(), data_));
    return {};
}

}  // namespace havn::cli
