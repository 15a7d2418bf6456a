// Any bytes from a broker, in pieces of any size, while jobs come and go: nobody is told twice, memory is
// given back, and what is sent stays a sequence of whole frames.
#include "gateway/core/job_sender.h"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <string>

using namespace havn;
using namespace havn::gateway;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

struct Customer final : JobSender::Waiter {
    void on_published(JobOutcome) override { require(!std::exchange(told, true)); }
    bool told = false;
};

void publish(JobSender& sender, MemoryShare& share, std::deque<Customer>& customers, std::size_t body) {
    HeldBytes held(share);
    require(held.append(std::string(body, 'x')));
    Job job(std::move(held));
    job.id = "job-" + std::to_string(customers.size() % 200);
    job.queue = "orders";
    job.content_type = "text/plain";
    job.headers.emplace_back("method", "POST");
    sender.publish(std::move(job), customers.emplace_back());
}

// What was sent since the connection began; the last frame may be incomplete.
void check_frames(std::string_view sent) {
    require(sent.substr(0, amqp::protocol_header.size()) ==
            amqp::protocol_header.substr(0, std::min(sent.size(), amqp::protocol_header.size())));
    sent.remove_prefix(std::min(sent.size(), amqp::protocol_header.size()));
    for (;;) {
        const amqp::FrameParse parsed = amqp::parse_frame(sent, JobSender::frame_bytes_max);
        if (parsed.status == amqp::Parse::need_more) return;
        require(parsed.status == amqp::Parse::complete);
        sent.remove_prefix(parsed.eaten);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    MemoryBudget budget(256u << 20);
    {
        MemoryShare share(budget);
        std::deque<Customer> customers;
        JobSender sender;
        Time now{std::chrono::hours(1)};
        std::string_view in(reinterpret_cast<const char*>(data), size);
        std::string sent;
        sender.opened({"guest", "guest", "/"}, now);
        publish(sender, share, customers, 5);
        for (std::size_t turn = 0; !in.empty(); ++turn) {
            const std::size_t choice = static_cast<std::uint8_t>(in[0]) + turn * 7;
            publish(sender, share, customers, choice % 11 == 0 ? 20'000 + choice * 100 : choice % 50);
            if (choice % 5 == 0) sender.forget(customers[choice % customers.size()]);
            now += milliseconds(choice % 13 == 0 ? 15'000 : 1);
            const bool in_time = sender.on_time(now).has_value();
            const JobSender::Output output = sender.output();
            std::string bytes(output.head);
            require(bytes.size() <= JobSender::out_bytes_max + JobSender::frame_bytes_max);
            bytes += output.body;
            bytes.resize(std::min(bytes.size(), 1 + choice * 300));
            sender.sent(bytes.size());
            sent += bytes;
            const std::string_view piece = in.substr(0, 1 + choice % 97);
            in.remove_prefix(piece.size());
            if (in_time && sender.receive(piece, now)) continue;
            check_frames(sent);
            sent.clear();
            sender.closed(now);
            sender.opened({"guest", "guest", "/"}, now);
        }
        check_frames(sent);
        for (Customer& customer : customers) sender.forget(customer);
        sender.closed(now);
        require(!sender.has_waiting() && sender.unconfirmed() == 0);
    }
    require(budget.used() == 0);
    return 0;
}
