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
#include "wire/amqp/properties.h"
#include "wire/amqp/table.h"

namespace havn::bench {
namespace {

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

// How long publishes waited for their confirms.
class Publisher final : public LoadClient {
  public:
    Publisher(std::uint16_t port, std::uint64_t window)
        : LoadClient(port, 4 * window + 64), window_(window) {}

    bool may_send() { return channel().unconfirmed() < window_ && channel().may_publish(); }
    void send(const amqp::client::Envelope& envelope, std::string_view body) {
        const auto context = static_cast<std::uint64_t>(now_.time_since_epoch().count());
        channel().publish(envelope, body, context);
        ++sent_;
    }
    void begin_turn() { now_ = Clock::now(); }
    std::uint64_t sent() const { return sent_; }

    double percentile(double share) {
        if (micros_.empty()) return 0;
        auto at =
            micros_.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(micros_.size() - 1));
        std::nth_element(micros_.begin(), at, micros_.end());
        return *at;
    }

  private:
    void on_confirm(std::uint64_t context, bool accepted) override {
        if (!accepted) die("the broker refused a message (basic.nack)");
        const Clock::time_point since{Clock::duration(static_cast<Clock::rep>(context))};
        micros_.push_back(std::chrono::duration<float, std::micro>(received_at() - since).count());
    }
    std::uint64_t window_, sent_ = 0;
    Clock::time_point now_{};
    std::vector<float> micros_;
};

void declare(LoadClient& client, const Options& options) {
    amqp::TableWriter quorum;
    if (options.text("type", "classic") == "quorum") quorum.text("x-queue-type", "quorum");
    for (std::uint64_t i = 0; i < options.number("queues", 1); ++i) {
        const std::string queue = options.queue(i);
        client.call(amqp::QueueDeclare{
            .queue = std::string_view(queue), .durable = true, .arguments = quorum.table()});
    }
}

void publish(const Options& options) {
    Publisher client(options.port(), options.number("window", 1000));
    declare(client, options);
    client.call(amqp::ConfirmSelect{});

    amqp::Properties persistent;
    persistent.flags = amqp::Properties::has_delivery_mode;
    persistent.delivery_mode = 2;
    std::string properties;
    amqp::append_properties(properties, persistent);
    std::vector<amqp::client::Envelope> envelopes;
    for (std::uint64_t i = 0; i < options.number("queues", 1); ++i) {
        envelopes.emplace_back("", options.queue(i), properties);
    }
    const std::string body(options.number("bytes", 256), 'x');

    const double limit = options.decimal("seconds", 3);
    const Clock::time_point start = Clock::now();
    for (;;) {
        const bool over = seconds_since(start) >= limit;
        if (over && client.channel().unconfirmed() == 0) break;
        client.begin_turn();
        while (!over && client.may_send()) {
            client.send(envelopes[client.sent() % envelopes.size()], body);
        }
        client.turn(-1);
    }
    const double seconds = seconds_since(start);
    fmt::print(R"({{"messages": {}, "seconds": {:.4f}, "rate": {:.1f}, "p50_us": {:.1f}, "p99_us": {:.1f}}})"
               "\n",
               client.sent(), seconds, static_cast<double>(client.sent()) / seconds, client.percentile(0.5),
               client.percentile(0.99));
}

class Consumer final : public LoadClient {
  public:
    Consumer(std::uint16_t port, std::uint64_t wanted, std::uint64_t every)
        : LoadClient(port, 1), wanted_(wanted), every_(every) {}

    bool done() const { return messages_ >= wanted_; }
    std::uint64_t messages() const { return messages_; }
    void acknowledge_rest() {
        if (acknowledged_ < tag_) channel().acknowledge(tag_, true);
    }

  private:
    void on_delivery(const amqp::client::Delivery& delivery) override {
        if (done()) return;
        tag_ = delivery.tag;
        if (++messages_ % every_ != 0) return;
        channel().acknowledge(tag_, every_ > 1);
        acknowledged_ = tag_;
    }
    std::uint64_t wanted_, every_, messages_ = 0, tag_ = 0, acknowledged_ = 0;
};

void set_prefetch(LoadClient& client, std::uint64_t count) {
    client.call(amqp::BasicQos{.prefetch_count = static_cast<std::uint16_t>(count)});
}

void consume(const Options& options) {
    Consumer client(options.port(), options.number("messages", UINT64_MAX), options.number("ack_every", 1));
    set_prefetch(client, options.number("prefetch", 1000));
    const double limit = options.decimal("seconds", 3);
    const std::string queue = options.queue(0);
    client.channel().request(amqp::BasicConsume{.queue = std::string_view(queue), .consumer_tag = "load"});
    const Clock::time_point start = Clock::now();
    while (!client.done() && seconds_since(start) < limit) client.turn(100);
    client.acknowledge_rest();
    set_prefetch(client, 1);  // answered after the acknowledgements before it were taken
    const double seconds = seconds_since(start);
    fmt::print(R"({{"messages": {}, "seconds": {:.4f}, "rate": {:.1f}}})"
               "\n",
               client.messages(), seconds, static_cast<double>(client.messages()) / seconds);
}

void remove(const Options& options) {
    Publisher client(options.port(), 1);
    for (std::uint64_t i = 0; i < options.number("queues", 1); ++i) {
        const std::string queue = options.queue(i);
        client.call(amqp::QueueDelete{.queue = std::string_view(queue)});
    }
}

}  // namespace
}  // namespace havn::bench

int main(int argc, char** argv) {
    using namespace havn::bench;
    const std::string verb = argc > 1 ? argv[1] : "";
    const Options options(argc, argv);
    if (verb == "publish") {
        publish(options);
    } else if (verb == "consume") {
        consume(options);
    } else if (verb == "delete") {
        remove(options);
    } else {
        die("publish, consume or delete");
    }
}
