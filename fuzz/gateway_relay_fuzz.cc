// Whatever a service answers, in whatever pieces, and however it hangs up: the gateway does not crash, the
// exchange ends, and the client gets well-formed responses of which only the last may be cut short, with a
// bounded number of interim ones before each.
//
// The real worker serves a client and two endpoints over sockets of this process, turn by turn. Byte 0 picks
// the request, byte 1 how the sides behave, the rest is what the service sends: 0x1e begins the answer on the
// next connection, 0x1d lets the gateway run before the rest is sent, 0x1c and a byte n stand for n * 256
// times 'x'.
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <list>
#include <string>
#include <vector>

#include "gateway/core/http1/body.h"
#include "gateway/core/http1/upstream_source.h"
#include "gateway/shell/log_writer.h"
#include "gateway/shell/worker.h"
#include "io/fd.h"
#include "wire/http1/framing.h"

using namespace havn;
using namespace havn::gateway;

namespace {

constexpr std::size_t answer_bytes_max = 256u << 10;

enum Behaviour : unsigned {
    resets = 1,           // the service hangs up with what it was sent unread
    client_finishes = 2,  // the client closes its half behind the request
    client_hangs_up = 4,  // … and is gone before the answer is over
};

struct Request {
    http1::Method method;
    std::string_view bytes;
};
constexpr Request requests[] = {
    {http1::Method::get, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"},
    {http1::Method::get,
     "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"},
    {http1::Method::head, "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"},
    {http1::Method::get, "GET / HTTP/1.0\r\n\r\n"},
    {http1::Method::post,
     "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"},
    {http1::Method::post,
     "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5;x\r\nhello\r\n1\r\n!\r\n0\r\nT: x\r\n\r\n"},
    {http1::Method::get,
     "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\nearly bytes"},
    {http1::Method::post,
     "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\n"
     "Content-Length: 3\r\n\r\nabc"},
    {http1::Method::post,
     "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 100000\r\n\r\nxy"},
    {http1::Method::post,
     "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5\r\nhello\r\nzz\r\n"},
};

void require(bool condition) {
    if (!condition) std::abort();
}

// What the service sends on one connection, in pieces.
using Answer = std::vector<std::string>;

std::vector<Answer> read_script(std::string_view script) {
    std::vector<Answer> answers{{""}};
    std::size_t total = 0;
    for (std::size_t i = 0; i < script.size() && total < answer_bytes_max; ++i) {
        switch (script[i]) {
            case '\x1e':
                answers.push_back({""});
                break;
            case '\x1d':
                answers.back().emplace_back();
                break;
            case '\x1c': {
                const std::size_t count = i + 1 < script.size() ? static_cast<unsigned char>(script[++i]) : 0;
                answers.back().back().append(count * 256, 'x');
                total += count * 256;
                break;
            }
            default:
                answers.back().back() += script[i];
                ++total;
        }
    }
    return answers;
}

// A listening socket the gateway takes for an instance.
class Instance {
  public:
    explicit Instance(const std::string& path)
        : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        require(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        require(::listen(listener_.get(), 64) == 0);
    }
    io::Fd accept() { return io::Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK)); }

  private:
    io::Fd listener_;
};

class Folder {
  public:
    Folder() {
        char path[] = "/tmp/gateway_relay_fuzz.XXXXXX";
        require(::mkdtemp(path) != nullptr);
        path_ = path;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

struct Harness {
    Harness() {
        Config config;
        UpstreamConfig web;
        web.name = "web";
        web.max_fails = 0;
        config.upstreams.push_back(web);
        Route route;
        route.path = "/";
        route.service = "web";
        config.routes.push_back(route);
        worker.set_config(std::make_shared<const Config>(config));
        worker.set_endpoints(
            {{"web", {{"unix:" + folder.path() + "/1", 1}, {"unix:" + folder.path() + "/2", 2}}}}, 1);
    }

    Folder folder;
    std::array<Instance, 2> instances{Instance(folder.path() + "/1"), Instance(folder.path() + "/2")};
    LogWriter log{folder.path() + "/access.log", {.bytes = 1u << 20, .backups = 1}};
    Shared shared;
    Metrics metrics;
    Worker worker{shared, metrics, log, [](const std::string&, std::uint64_t) {}};
};

// A connection the gateway made, and what is still to be sent on it.
struct Served {
    io::Fd fd;
    Answer answer;
    std::size_t piece = 0;
};

class Run {
  public:
    Run(Harness& harness, const Request& request, unsigned behaviour, std::vector<Answer> answers)
        : harness_(harness), request_(request), behaviour_(behaviour), answers_(std::move(answers)) {
        for (const Answer& answer : answers_) {
            for (const std::string& piece : answer) turns_max_ += 4 + piece.size() / 8;
        }
    }

    void play() {
        int ends[2];
        require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
        client_ = io::Fd(ends[0]);
        const std::optional<IpAddress> address = parse_ip("127.0.0.1");
        Admission::Place place = harness_.worker.acceptor().place_for_one(true);
        require(address && place);
        harness_.worker.acceptor().accepted(io::Fd(ends[1]), *address, std::move(place), nullptr);
        require(::send(client_.get(), request_.bytes.data(), request_.bytes.size(), MSG_NOSIGNAL) > 0);
        if (behaviour_ & client_finishes) ::shutdown(client_.get(), SHUT_WR);
        for (std::size_t turn = 0; turn < turns_max_ && client_; ++turn) {
            harness_.worker.turn(milliseconds(0));
            serve();
            listen(turn);
        }
        require(!client_);
        served_.clear();
        const Metrics& metrics = harness_.metrics;
        for (int turn = 0; turn < 64 && metrics.connections_open.value() > 0; ++turn) {
            harness_.worker.turn(milliseconds(0));
        }
        require(metrics.connections_open.value() == 0 && metrics.requests_in_flight.value() == 0);
        for (int turn = 0; turn < 2; ++turn) harness_.worker.turn(milliseconds(0));  // idle ones are noticed
        if (!(behaviour_ & client_hangs_up)) check(received_);
    }

  private:
    void serve() {
        for (Instance& instance : harness_.instances) {
            while (io::Fd fd = instance.accept()) {
                const std::size_t number = connections_++;
                served_.push_back({std::move(fd), number < answers_.size() ? answers_[number] : Answer{}});
            }
        }
        for (auto next = served_.begin(); next != served_.end();) {
            const auto one = next++;
            if (serve_one(*one)) served_.erase(one);
        }
    }

    // True: it hangs up. A reset is what a socket does that is closed with bytes unread.
    bool serve_one(Served& one) {
        char bytes[4096];
        while (!(behaviour_ & resets) && ::recv(one.fd.get(), bytes, sizeof bytes, 0) > 0) {
        }
        if (one.piece == one.answer.size()) return true;
        std::string& piece = one.answer[one.piece];
        const ssize_t sent = ::send(one.fd.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return true;
        if (sent > 0) piece.erase(0, static_cast<std::size_t>(sent));
        if (piece.empty()) ++one.piece;
        return false;
    }

    void listen(std::size_t turn) {
        char bytes[65536];
        for (;;) {
            const ssize_t got = ::recv(client_.get(), bytes, sizeof bytes, 0);
            if (got > 0) {
                received_.append(bytes, static_cast<std::size_t>(got));
                continue;
            }
            if (got == 0 || errno != EAGAIN) client_.reset();
            break;
        }
        if ((behaviour_ & client_hangs_up) && turn == 3) client_.reset();
    }

    void check(std::string_view text) const {
        std::vector<http1::Header> storage(256);
        unsigned interims = 0;
        while (!text.empty()) {
            http1::ResponseHead head;
            const http1::Parsed parsed = http1::parse_response_head(text, storage, head);
            require(parsed.progress == http1::Progress::complete);
            text.remove_prefix(parsed.bytes);
            if (head.status == 101) return;
            if (head.status < 200) {
                require(++interims <= UpstreamSource::interim_max);
                for (const http1::Header& header : head.headers) {
                    require(!http1::row(header.field).hop_by_hop);
                }
                continue;
            }
            interims = 0;  // what follows answers the next request
            const auto facts = http1::inspect(head, request_.method);
            require(facts.has_value());
            if (!check_body(facts->body, text)) return;
        }
    }

    // Takes the body off `text`. False: it was cut short.
    static bool check_body(http1::Framing framing, std::string_view& text) {
        std::string memory(text);
        BodyDecoder body(framing);
        const BodyDecoder::Decoded decoded = body.decode(memory.data(), memory.size());
        require(decoded.rule == http1::Rule::none);
        require(body.done() || decoded.eaten == text.size());
        text.remove_prefix(decoded.eaten);
        return body.done();
    }

    Harness& harness_;
    const Request& request_;
    unsigned behaviour_;
    std::vector<Answer> answers_;
    std::size_t turns_max_ = 64;
    std::size_t connections_ = 0;
    std::list<Served> served_;
    io::Fd client_;
    std::string received_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size < 2) return 0;
    static Harness harness;
    const std::string_view script(reinterpret_cast<const char*>(data) + 2, size - 2);
    Run(harness, requests[data[0] % std::size(requests)], data[1], read_script(script)).play();
    return 0;
}
