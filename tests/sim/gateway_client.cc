#include "sim/gateway_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace havn::sim {

Client::Client(World& world, const ClientPlan& plan) : world_(world), plan_(plan), end_(world.connect()) {
    add_request();
    while (plan_.pipelines && asked_ < plan_.requests) add_request();
    end_.listen([this](End::Edge) { move(); });
    if (plan_.trickles) may_send_ = 0;
    if (plan_.vanishes) {
        world_.scheduler().within(microseconds(1), seconds(3), [this] { close(); });
    }
    world_.scheduler().within(Duration::zero(), milliseconds(5), [this] { move(); });
}

void Client::close() {
    ended_ = true;
    if (!end_.open()) return;
    if (random().once_in(2)) end_.reset();
    end_.close();
}

void Client::add_request() {
    const std::uint64_t id = plan_.first_id + asked_++;
    const bool has_body = plan_.jobs || (plan_.bodies && random().once_in(2));
    using http1::Method;
    const Method with[] = {Method::post, Method::put}, without[] = {Method::get, Method::get, Method::head};
    const Method method = plan_.jobs ? Method::post
                          : has_body ? with[random().below(2)]
                                     : without[random().below(3)];
    methods_.push_back(method);
    if (method == Method::post && !plan_.jobs) world_.ledger().unrepeatable.insert(id);
    const std::string_view names[] = {"GET", "HEAD", "POST", "PUT"};
    const std::string_view name = names[method == Method::get    ? 0
                                        : method == Method::head ? 1
                                        : method == Method::post ? 2
                                                                 : 3];
    out_ += fmt::format("{} /{}/{} HTTP/1.1\r\nHost: h\r\nX-Request-Id: {}\r\n", name, plan_.jobs ? "q" : "r",
                        id, id);
    if (plan_.head_bytes > 0) out_ += fmt::format("X-Padding: {}\r\n", std::string(plan_.head_bytes, 'p'));
    if (!has_body) {
        out_ += "\r\n";
        return;
    }
    const std::string body =
        pattern(id, random().once_in(10) ? random().below(60'000) : random().below(2'500));
    if (random().once_in(2)) {
        out_ += fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body);
        return;
    }
    out_ += "Transfer-Encoding: chunked\r\n\r\n";
    for (std::size_t at = 0; at < body.size();) {
        const std::size_t size = std::min<std::size_t>(random().between(1, 3'000), body.size() - at);
        out_ += fmt::format("{:x}\r\n{}\r\n", size, body.substr(at, size));
        at += size;
    }
    out_ += "0\r\n\r\n";
}

void Client::move() {
    if (ended_) return;
    send();
    if (!ended_ && !plan_.never_reads) receive();
}

void Client::send() {
    if (plan_.trickles && may_send_ == 0 && !out_.empty() && !std::exchange(pausing_, true)) {
        world_.scheduler().within(milliseconds(1), milliseconds(100), [this] {
            pausing_ = false;
            may_send_ = random().between(1, 1'500);
            move();
        });
    }
    while (!out_.empty() && may_send_ > 0) {
        const End::Moved moved = end_.send(std::string_view(out_).substr(0, may_send_));
        if (moved.status == End::Status::blocked) return;
        if (moved.status != End::Status::ok) return;  // it may have been answered: reading tells
        out_.erase(0, moved.size);
        if (!plan_.trickles) continue;
        may_send_ -= moved.size;
        if (may_send_ == 0) return send();
    }
}

void Client::receive() {
    char piece[4096];
    while (!ended_) {
        const End::Moved moved = end_.receive(piece, sizeof piece);
        if (moved.status == End::Status::blocked) return;
        if (moved.status != End::Status::ok) {
            if (in_body_ && body_.finish()) end_response();
            ended_ = true;
            return end_.close();
        }
        in_.append(piece, moved.size);
        read();
    }
}

void Client::read() {
    while (!in_.empty()) {
        if (answered_.size() == plan_.requests) return wrong("more came than was asked for");
        if (!in_body_ && !read_head()) return;
        if (body_.done()) {
            end_response();
            continue;
        }
        std::string rest = std::exchange(in_, {});
        const gateway::BodyDecoder::Decoded decoded = body_.decode(rest.data(), rest.size());
        if (decoded.rule != http1::Rule::none) wrong("a malformed body");
        received_ += decoded.payload;
        in_ = rest.substr(decoded.eaten);
        if (from_instance_ && received_ != pattern(expected(), received_.size())) wrong("a body of another");
        if (body_.done()) end_response();
    }
}

bool Client::read_head() {
    std::vector<http1::Header> storage(64);
    http1::ResponseHead head;
    const http1::Parsed parsed = http1::parse_response_head(in_, storage, head);
    if (parsed.progress == http1::Progress::need_more) return false;
    if (parsed.progress == http1::Progress::malformed) {
        wrong("a malformed head");
        in_.clear();
        return false;
    }
    const auto facts = http1::inspect(head, methods_.at(answered_.size()));
    if (!facts) wrong("a head with contradictions");
    from_instance_ = false;
    size_ = 0;
    for (const http1::Header& header : head.headers) {
        const std::string value(header.value);
        if (header.name == "X-Request-Id" && value != std::to_string(expected())) {
            wrong("another's request id");
        }
        if (header.name == "X-Size") size_ = std::stoull(value);
        if (header.name != "X-Answer") continue;
        from_instance_ = true;
        if (value != std::to_string(expected())) wrong("the answer to request " + value);
    }
    in_.erase(0, parsed.bytes);
    if (head.status < 200) return !in_.empty() && read_head();
    status_ = head.status;
    if (facts) body_ = gateway::BodyDecoder(facts->body);
    in_body_ = true;
    received_.clear();
    return true;
}

void Client::end_response() {
    const bool head_only = methods_.at(answered_.size()) == http1::Method::head;
    if (from_instance_ && !head_only && received_.size() != size_) {
        wrong(fmt::format("a body of {} bytes instead of {} looks whole", received_.size(), size_));
    }
    if (status_ == 202 && !world_.ledger().confirmed.contains(expected())) {
        wrong("a job that nobody confirmed");
    }
    if (status_ == 200 && !from_instance_) wrong("a success of the gateway's own");
    answered_.push_back(status_);
    in_body_ = false;
    if (!plan_.pipelines && asked_ < plan_.requests) {
        add_request();
        send();
    }
}

void Client::wrong(const std::string& what) {
    world_.ledger().wrongs.push_back(fmt::format("request {}: {}", expected(), what));
    in_.clear();
}

std::string Client::story() const {
    std::string text = fmt::format("from {}: asked {} of {}, unsent {} bytes, answered", plan_.first_id,
                                   asked_, plan_.requests, out_.size());
    for (const unsigned status : answered_) text += fmt::format(" {}", status);
    return text + (ended_ ? ", ended" : ", waiting");
}

}  // namespace havn::sim
