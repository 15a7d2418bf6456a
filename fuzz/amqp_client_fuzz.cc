// Any bytes from a broker, in pieces of any size, while a client publishes, consumes and asks: each confirm
// and each reply is told once, what is sent stays a sequence of whole frames, and everything held is given
// back.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>

#include "amqp/client/channel.h"
#include "amqp/client/connection.h"

using namespace havn;
using namespace havn::amqp;
using namespace havn::amqp::client;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

struct Owner final : ConnectionHandler, ChannelHandler {
    Owner() : connection(limits(), *this), first(connection, *this), second(connection, *this) {}
    ~Owner() { connection.reset(); }

    static Options limits() {
        Options limits;
        limits.channels_max = 2;
        limits.message_bytes_max = 10'000;
        limits.content_bytes_max = 12'000;
        return limits;
    }
    void on_connected() override {
        first.open();
        second.open();
    }
    void on_open() override {
        first.request(ConfirmSelect{});
        second.request(BasicQos{.prefetch_count = 10});
        second.request(BasicConsume{.queue = "q", .consumer_tag = "c"});
        second.request(QueueDeclare{.queue = "q", .passive = true});
    }
    void on_confirm(std::uint64_t context, bool) override { require(waiting.erase(context) == 1); }
    void on_closed(const Error&) override {
        if (!first.is_open()) waiting.clear();
    }
    void on_reply(const Reply& reply) override { require(reply.request != 0); }
    void on_delivery(const Delivery& delivery) override {
        require(delivery.body.size() == delivery.body_size);
        bytes += delivery.body.size() + delivery.properties.size();
        if (delivery.tag % 3 == 0) second.requeue(delivery.tag, delivery.redelivered);
        second.acknowledge(delivery.tag);
        if (delivery.tag % 7 == 6) second.close();
    }
    void on_oversized(const Delivery& delivery) override { second.reject(delivery.tag); }

    Connection connection;
    Channel first, second;
    std::set<std::uint64_t> waiting;
    std::string body = std::string(50'000, 'b');
    std::uint64_t next = 1;
    std::size_t bytes = 0;
};

// What was sent since the connection began; the last frame may be incomplete.
void check_frames(std::string_view sent) {
    const std::size_t greeting = std::min(sent.size(), protocol_header.size());
    require(sent.substr(0, greeting) == protocol_header.substr(0, greeting));
    sent.remove_prefix(greeting);
    for (;;) {
        const FrameParse parsed = parse_frame(sent, Options().frame_bytes_max);
        if (parsed.status == Parse::need_more) return;
        require(parsed.status == Parse::complete);
        sent.remove_prefix(parsed.eaten);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Owner owner;
    Time now{std::chrono::hours(1)};
    std::string_view in(reinterpret_cast<const char*>(data), size);
    std::string sent, unread;
    owner.connection.open({"guest", "guest", "/"}, now);
    for (std::size_t turn = 0; !in.empty(); ++turn) {
        const std::size_t choice = static_cast<std::uint8_t>(in[0]) + turn * 7;
        const std::size_t body = choice % 11 == 0 ? 20'000 + choice % 30'000 : choice % 50;
        const auto published = owner.first.publish({.routing_key = "q",
                                                    .properties = std::string_view("\0\0", 2),
                                                    .body = std::string_view(owner.body).substr(0, body)},
                                                   owner.next);
        if (published && published->number != 0) owner.waiting.insert(owner.next++);
        const Output::Pieces pieces = owner.connection.pieces();
        std::string bytes(pieces.head);
        bytes += pieces.body;
        bytes.resize(std::min(bytes.size(), 1 + choice * 300));
        owner.connection.sent(bytes.size());
        sent += bytes;
        const std::string_view piece = in.substr(0, 1 + choice % 97);
        in.remove_prefix(piece.size());
        unread += piece;
        const Result<std::size_t> eaten = owner.connection.receive(unread, now);
        if (eaten) unread.erase(0, *eaten);
        now += milliseconds(choice % 100);
        if (eaten && owner.connection.on_time(now)) continue;
        check_frames(sent);
        sent.clear();
        unread.clear();
        owner.waiting.clear();
        owner.connection.open({"guest", "guest", "/"}, now);
    }
    check_frames(sent);
    require(owner.bytes <= size + owner.body.size());
    return 0;
}
