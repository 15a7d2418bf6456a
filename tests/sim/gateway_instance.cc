#include "sim/gateway_instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "sim/gateway_world.h"
#include "wire/http1/framing.h"

namespace havn::sim {
namespace {

enum class Mood : std::uint8_t {
    well,
    hangs_up,         // without a word
    hangs_up_within,  // its answer
    resets,
    malformed,
    malformed_within,
    endless_interims,
    freezes,
    freezes_within,
};
constexpr std::size_t mood_count = 9;

}  // namespace

// One connection.
class Instance::Served {
  public:
    Served(Instance& instance, End& end) : instance_(instance), end_(end) {
        end_.listen([this](End::Edge) { move(); });
    }

  private:
    Random& random() { return instance_.scheduler_.random(); }

    void move() {
        write();
        char piece[2048];
        while (end_.open() && !frozen_) {
            const End::Moved moved = end_.receive(piece, sizeof piece);
            if (moved.status == End::Status::blocked) return;
            if (moved.status != End::Status::ok) return end_.close();
            in_.append(piece, moved.size);
            read();
        }
    }

    // Heads and bodies in turn, for as long as what came suffices.
    void read() {
        while (end_.open()) {
            if (!request_ && !read_head()) return;
            std::string rest = std::exchange(in_, {});
            const gateway::BodyDecoder::Decoded decoded = body_.decode(rest.data(), rest.size());
            if (decoded.rule != http1::Rule::none) wrong("the gateway sends a malformed body");
            received_ += decoded.payload;
            in_ = rest.substr(decoded.eaten);
            if (received_ != pattern(*request_, received_.size())) wrong("a request has another's body");
            if (!body_.done()) return;
            if (instance_.healthy_) answer_soon(Mood::well);
            request_.reset();
            received_.clear();
        }
    }

    bool read_head() {
        std::vector<http1::Header> storage(64);
        http1::RequestHead head;
        const http1::Parsed parsed = http1::parse_request_head(in_, storage, head);
        if (parsed.progress == http1::Progress::need_more) return false;
        const auto facts = http1::inspect(head);
        if (parsed.progress == http1::Progress::malformed || !facts) {
            wrong("the gateway sends a malformed head");
            end_.close();
            return false;
        }
        request_ = std::stoull(std::string(head.target.substr(head.target.rfind('/') + 1)));
        ++instance_.ledger_.heads_seen[*request_];
        body_ = gateway::BodyDecoder(facts->body);
        bodiless_ = head.method == http1::Method::head;
        in_.erase(0, parsed.bytes);
        if (!instance_.healthy_) answer_soon(static_cast<Mood>(random().below(mood_count)));
        return true;
    }

    void answer_soon(Mood mood) {
        instance_.scheduler_.within(
            microseconds(10), milliseconds(50),
            [this, id = *request_, mood, bodiless = bodiless_] { answer(id, mood, bodiless); });
    }

    void answer(std::uint64_t id, Mood mood, bool bodiless) {
        if (!end_.open()) return;
        switch (mood) {
            case Mood::hangs_up:
                return end_.close();
            case Mood::resets:
                end_.reset();
                return end_.close();
            case Mood::freezes:
                frozen_ = true;
                return;
            case Mood::malformed:
                out_ += "HTTP/1.1 2x0 OK\r\n\r\n";
                break;
            case Mood::endless_interims:
                for (int i = 0; i < 150; ++i) out_ += "HTTP/1.1 102 Processing\r\n\r\n";
                break;
            case Mood::well:
            case Mood::hangs_up_within:
            case Mood::malformed_within:
            case Mood::freezes_within:
                compose(id, mood, bodiless);
                break;
        }
        write();
    }

    void compose(std::uint64_t id, Mood mood, bool bodiless) {
        if (random().once_in(6)) out_ += "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        const std::string body =
            pattern(id, random().once_in(10) ? random().below(80'000) : random().below(3'000));
        const std::uint64_t framing = random().below(3);
        out_ += fmt::format("HTTP/1.1 200 OK\r\nX-Answer: {}\r\nX-Size: {}\r\n", id, body.size());
        std::string framed = body;
        if (framing == 0) {
            out_ += fmt::format("Content-Length: {}\r\n", body.size());
        } else if (framing == 1) {
            out_ += "Transfer-Encoding: chunked\r\n";
            framed = in_chunks(body);
            if (mood == Mood::malformed_within) framed.replace(framed.size() - 5, 5, "zz\r\n");
        } else {
            out_ += "Connection: close\r\n";
            close_after_ = !bodiless;
        }
        out_ += "\r\n";
        if (!bodiless) out_ += framed;
        if (mood == Mood::hangs_up_within || mood == Mood::freezes_within) {
            const std::size_t most = std::min(out_.size(), (bodiless ? 0 : framed.size()) + 40);
            out_.resize(out_.size() - random().below(most));
            frozen_ = mood == Mood::freezes_within;
            close_after_ = mood == Mood::hangs_up_within;
            // Where its close is the end of the body nobody can tell that it came too early, but for a reset.
            reset_after_ = close_after_ && (framing == 2 || random().once_in(2));
        }
        if (random().once_in(5)) {
            instance_.scheduler_.within(milliseconds(1), milliseconds(300), [this] { close_idle(); });
        }
    }

    std::string in_chunks(const std::string& body) {
        std::string framed;
        for (std::size_t at = 0; at < body.size();) {
            const std::size_t size = std::min<std::size_t>(random().between(1, 4'000), body.size() - at);
            framed += fmt::format("{:x}\r\n{}\r\n", size, body.substr(at, size));
            at += size;
        }
        return framed + "0\r\n\r\n";
    }

    void close_idle() {
        if (end_.open() && !frozen_ && !request_ && out_.empty() && in_.empty()) end_.close();
    }

    void write() {
        while (end_.open() && !out_.empty()) {
            const End::Moved moved = end_.send(out_);
            if (moved.status == End::Status::blocked) return;
            if (moved.status != End::Status::ok) return end_.close();
            out_.erase(0, moved.size);
        }
        if (!end_.open() || !close_after_) return;
        if (reset_after_) end_.reset();
        end_.close();
    }

    void wrong(std::string what) { instance_.ledger_.wrongs.push_back(std::move(what)); }

    Instance& instance_;
    End& end_;
    std::string in_, out_;
    std::optional<std::uint64_t> request_;  // its number, until its body is whole
    std::string received_;                  // of its body
    gateway::BodyDecoder body_;
    bool bodiless_ = false;
    bool frozen_ = false, close_after_ = false, reset_after_ = false;
};

Instance::Instance(Scheduler& scheduler, Ledger& ledger, bool healthy)
    : scheduler_(scheduler), ledger_(ledger), healthy_(healthy) {}

Instance::~Instance() = default;

Instance::Welcome Instance::welcome() {
    if (healthy_) return Welcome::accept;
    const std::uint64_t mood = scheduler_.random().below(8);
    return mood == 0 ? Welcome::refuse : mood == 1 ? Welcome::ignore : Welcome::accept;
}

void Instance::accept(End& end) {
    served_.push_back(std::make_unique<Served>(*this, end));
}

}  // namespace havn::sim
