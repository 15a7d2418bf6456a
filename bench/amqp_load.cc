// Load on an AMQP broker over one connection, the same for every broker.
//
//     amqp_load publish port=P queue=Q [queues=N] [window=W] [seconds=S] [bytes=B] [type=classic|quorum]
//     amqp_load consume port=P queue=Q [prefetch=N] [ack_every=N] [messages=M] [seconds=S]
//     amqp_load delete  port=P queue=Q [queues=N]
//
// `publish` sends persistent messages to durable queues Q.0 … Q.N-1 in turn, with at most W of them
// unconfirmed, and ends when the last is confirmed. `consume` takes from Q.0 and acknowledges, one by one
// unless ack_every says otherwise, until M messages or S seconds are over. Both print one line of JSON:
// messages, seconds, rate, and for publish the time from sending to confirm in microseconds (p50, p99).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "amqp_load_client.h"

namespace havn::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

class Options {
  public:
    Options(int argc, char** argv) {
        for (int i = 2; i < argc; ++i) {
            const std::string word = argv[i];
            const std::size_t equals = word.find('=');
            if (equals == std::string::npos) die(fmt::format("'{}' is not name=value", word));
            values_[word.substr(0, equals)] = word.substr(equals + 1);
        }
    }
    std::string text(const std::string& name, const std::string& otherwise) const {
        const auto found = values_.find(name);
        return found == values_.end() ? otherwise : found->second;
    }
    std::uint64_t number(const std::string& name, std::uint64_t otherwise) const {
        const std::string value = text(name, "");
        return value.empty() ? otherwise : std::stoull(value);
    }
    double decimal(const std::string& name, double otherwise) const {
        const std::string value = text(name, "");
        return value.empty() ? otherwise : std::stod(value);
    }
    std::string queue(std::uint64_t index) const {
        return fmt::format("{}.{}", text("queue", "bench"), index);
    }
    std::uint16_t port() const { return static_cast<std::uint16_t>(number("port", 5672)); }

  private:
    std::map<std::string, std::string> values_;
};

// Which delivery tags wait for their confirm, and since when. Tags are given in order and confirmed in any.
class Confirms {
  public:
    explicit Confirms(std::uint64_t window) : window_(window), slots_(4 * window + 64) {}

    bool may_send() const { return outstanding_ < window_ && next_ - lowest_ < slots_.size(); }
    std::uint64_t outstanding() const { return outstanding_; }
    std::uint64_t sent() const { return next_ - 1; }

    void sent_at(Clock::time_point now) {
        slots_[next_++ % slots_.size()] = {now, true};
        ++outstanding_;
    }
    void confirmed(std::uint64_t tag, bool multiple, Clock::time_point now) {
        for (std::uint64_t each = multiple ? lowest_ : tag; each <= tag; ++each) settle(each, now);
        while (lowest_ < next_ && !slots_[lowest_ % slots_.size()].waiting) ++lowest_;
    }
    double percentile(double share) {
        if (micros_.empty()) return 0;
        auto at =
            micros_.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(micros_.size() - 1));
        std::nth_element(micros_.begin(), at, micros_.end());
        return *at;
    }

  private:
    struct Slot {
        Clock::time_point since;
        bool waiting = false;
    };
    void settle(std::uint64_t tag, Clock::time_point now) {
        Slot& slot = slots_[tag % slots_.size()];
        if (!slot.waiting) return;
        slot.waiting = false;
        --outstanding_;
        micros_.push_back(std::chrono::duration<float, std::micro>(now - slot.since).count());
    }
    std::uint64_t window_, next_ = 1, lowest_ = 1, outstanding_ = 0;
    std::vector<Slot> slots_;
    std::vector<float> micros_;
};

void declare(Client& client, const Options& options) {
    Writer quorum;
    if (options.text("type", "classic") == "quorum") {
        quorum.shortstr("x-queue-type").number(std::uint8_t{'S'});
        quorum.longstr("quorum");
    }
    for (std::uint64_t i = 0; i < options.number("queues", 1); ++i) {
        Writer arguments;
        arguments.number(std::uint16_t{0})
            .shortstr(options.queue(i))
            .number(std::uint8_t{2})
            .longstr(quorum.bytes);
        client.call(1, Method::queue_declare, arguments.bytes, Method::queue_declare_ok);
    }
}

void take_confirms(Client& client, Confirms& confirms) {
    const Clock::time_point now = Clock::now();
    for (Frame frame{}; client.next(frame);) {
        if (frame.type != Frame::Type::method) continue;
        if (frame.method == Method::basic_nack) die("the broker refused a message (basic.nack)");
        if (frame.method != Method::basic_ack) continue;
        Reader arguments(frame.payload);
        const auto tag = arguments.number<std::uint64_t>();
        confirms.confirmed(tag, (arguments.number<std::uint8_t>() & 1) != 0, now);
    }
}

void publish(const Options& options) {
    Client client(options.port());
    declare(client, options);
    client.call(1, Method::confirm_select, Writer().number(std::uint8_t{0}).bytes, Method::confirm_select_ok);

    std::vector<std::string> messages;
    const std::string body(options.number("bytes", 256), 'x');
    for (std::uint64_t i = 0; i < options.number("queues", 1); ++i)
        messages.push_back(publish_frames(options.queue(i), body));

    const double limit = options.decimal("seconds", 3);
    Confirms confirms(options.number("window", 1000));
    const Clock::time_point start = Clock::now();
    for (;;) {
        const bool over = seconds_since(start) >= limit;
        if (over && confirms.outstanding() == 0) break;
        const Clock::time_point now = Clock::now();
        while (!over && confirms.may_send() && client.unsent() < (256u << 10)) {
            client.send(messages[confirms.sent() % messages.size()]);
            confirms.sent_at(now);
        }
        client.fill(over || !confirms.may_send() || client.unsent() > 0 ? -1 : 0);
        take_confirms(client, confirms);
    }
    const double seconds = seconds_since(start);
    fmt::print(R"({{"messages": {}, "seconds": {:.4f}, "rate": {:.1f}, "p50_us": {:.1f}, "p99_us": {:.1f}}})"
               "\n",
               confirms.sent(), seconds, static_cast<double>(confirms.sent()) / seconds,
               confirms.percentile(0.5), confirms.percentile(0.99));
}

void acknowledge(Client& client, std::uint64_t tag, bool multiple) {
    Writer arguments;
    arguments.number(tag).number(static_cast<std::uint8_t>(multiple));
    client.send(method_frame(1, Method::basic_ack, arguments.bytes));
}

void qos(Client& client, std::uint64_t prefetch) {
    Writer arguments;
    arguments.number(std::uint32_t{0}).number(static_cast<std::uint16_t>(prefetch)).number(std::uint8_t{0});
    client.call(1, Method::basic_qos, arguments.bytes, Method::basic_qos_ok);
}

void consume(const Options& options) {
    Client client(options.port());
    qos(client, options.number("prefetch", 1000));
    const std::uint64_t wanted = options.number("messages", UINT64_MAX);
    const std::uint64_t every = options.number("ack_every", 1);
    const double limit = options.decimal("seconds", 3);

    Writer arguments;
    arguments.number(std::uint16_t{0}).shortstr(options.queue(0)).shortstr("load");
    arguments.number(std::uint8_t{0}).longstr("");
    client.send(method_frame(1, Method::basic_consume, arguments.bytes));

    std::uint64_t messages = 0, tag = 0, acknowledged = 0, body_left = 0;
    const Clock::time_point start = Clock::now();
    while (messages < wanted && seconds_since(start) < limit) {
        client.fill(100);
        for (Frame frame{}; messages < wanted && client.next(frame);) {
            if (frame.type == Frame::Type::method && frame.method == Method::basic_deliver) {
                Reader deliver(frame.payload);
                deliver.shortstr();
                tag = deliver.number<std::uint64_t>();
                continue;
            }
            if (frame.type == Frame::Type::header)
                body_left = Reader(frame.payload.substr(4)).number<std::uint64_t>();
            else if (frame.type == Frame::Type::body)
                body_left -= frame.payload.size();
            else
                continue;
            if (body_left > 0) continue;
            ++messages;
            if (messages % every == 0) {
                acknowledge(client, tag, every > 1);
                acknowledged = tag;
            }
        }
    }
    if (acknowledged < tag) acknowledge(client, tag, true);
    qos(client, 1);  // answered after the acknowledgements before it were taken
    const double seconds = seconds_since(start);
    fmt::print(R"({{"messages": {}, "seconds": {:.4f}, "rate": {:.1f}}})"
               "\n",
               messages, seconds, static_cast<double>(messages) / seconds);
}

void remove(const Options& options) {
    Client client(options.port());
    for (std::uint64_t i = 0; i < options.number("queues", 1); ++i) {
        Writer arguments;
        arguments.number(std::uint16_t{0}).shortstr(options.queue(i)).number(std::uint8_t{0});
        client.call(1, Method::queue_delete, arguments.bytes, Method::queue_delete_ok);
    }
}

}  // namespace
}  // namespace havn::bench

int main(int argc, char** argv) {
    using namespace havn::bench;
    const std::string verb = argc > 1 ? argv[1] : "";
    const Options options(argc, argv);
    if (verb == "publish")
        publish(options);
    else if (verb == "consume")
        consume(options);
    else if (verb == "delete")
        remove(options);
    else
        die("publish, consume or delete");
}
