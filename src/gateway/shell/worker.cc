#include "gateway/shell/worker.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/assert.h"
#include "base/log.h"
#include "gateway/shell/amqp_publisher.h"
#include "io/clock.h"

namespace havn::gateway {

static constexpr std::size_t log_flush_bytes = 65536;
static constexpr milliseconds log_flush_after{200};
static constexpr milliseconds accept_pause{100};
static constexpr std::size_t free_exchanges_max = 1024;

Worker::Mailbox::Mailbox(Poller& poller) : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    const Result<> added = poller.add(event_.get(), *this, Poller::level);
    HAVN_ASSERT(added.has_value(), "a thread can be woken");
}

void Worker::Mailbox::on_ready(std::uint32_t) {
    std::uint64_t count;
    (void)!::read(event_.get(), &count, sizeof count);
    std::vector<std::function<void()>> jobs;
    {
        const std::lock_guard lock(mutex_);
        jobs.swap(jobs_);
    }
    for (const std::function<void()>& job : jobs) job();
}

void Worker::Mailbox::post(std::function<void()> job) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }
    const std::uint64_t one = 1;
    (void)!::write(event_.get(), &one, sizeof one);
}

Worker::Worker(LogWriter& log, Drained drained)
    : log_writer_(log),
      drained_(std::move(drained)),
      now_(io::now()),
      wall_(io::wall_now()),
      deadlines_(now_),
      services_(poller_, metrics_, *this),
      ids_(std::uint64_t{std::random_device{}()} << 32 | std::random_device{}()),
      mailbox_(poller_) {
    set_config(std::make_shared<const Config>());
    publisher_ = std::make_unique<AmqpPublisher>(*this);
}

Worker::~Worker() {
    flush_log();
}

void Worker::post(std::function<void()> job) {
    mailbox_.post(std::move(job));
}

void Worker::run() {
    while (!stopped_) turn();
    flush_log();
}

void Worker::turn() {
    poller_.wait(driven_later_.empty() ? deadlines_.wait(io::now()) : milliseconds(0));
    now_ = io::now();
    wall_ = io::wall_now();
    const std::vector<Client*> later = std::exchange(driven_later_, {});
    for (Client* client : later) client->drive();
    poller_.dispatch();
    deadlines_.advance(now_, [](Deadlines::Entry& entry) { static_cast<Timer&>(entry).on_deadline(); });
    publisher_->end_of_turn();
    if (exchanges_.size() > free_exchanges_max) exchanges_.resize(free_exchanges_max);
    if (stopping_ && clients_.empty()) stopped_ = true;
}

void Worker::set_config(std::shared_ptr<const Config> config) {
    const Limits& limits = config->limits;
    buffers_.set_capacity(std::max<std::size_t>(limits.head_bytes_max, 32768) + BufferPool::own_fields_bytes);
    headers_.resize(std::max<std::size_t>(limits.header_count_max, 256));
    services_.configure(config->upstreams);
    tables_ = std::make_shared<const Tables>(std::move(config), services_, metrics_);
    if (publisher_) publisher_->set_broker(tables_->config->broker);
}

const RouteEntry* Worker::service_route(const std::string& name) {
    std::unique_ptr<ServiceRoute>& known = service_routes_[name];
    if (!known) {
        known = std::make_unique<ServiceRoute>();
        known->route.path = "/";
        known->route.service = name;
        known->entry.route = &known->route;
        known->entry.label = "service:" + name;
        known->entry.service = &services_.get(name);
        known->entry.metrics = &metrics_.route(known->entry.label);
    }
    return &known->entry;
}

void Worker::set_listeners(std::vector<Listener::Source> sources) {
    constexpr std::string_view service_prefix = "service:";
    std::vector<std::unique_ptr<Listener>> before = std::exchange(listeners_, {});
    for (Listener::Source& source : sources) {
        const bool of_service = source.name.starts_with(service_prefix);
        const RouteEntry* route =
            of_service ? service_route(source.name.substr(service_prefix.size())) : nullptr;
        listeners_.push_back(std::make_unique<Listener>(*this, std::move(source.fd), route));
    }
    if (!accepting_paused_) {
        for (const auto& listener : listeners_) {
            const Result<> added = poller_.add(listener->fd(), *listener, Poller::level);
            if (!added) log::error("listening socket: {}", added.error().text());
        }
    }
    // The socket stays open elsewhere, so closing ours would not end the old registration.
    for (std::unique_ptr<Listener>& old : before) {
        poller_.remove(old->fd());
        poller_.retire(std::move(old));
    }
}

void Worker::accepted(io::Fd fd, std::string address, const RouteEntry* service) {
    auto client = std::make_unique<Client>(*this, std::move(fd), std::move(address), service);
    if (!poller_.add(client->socket.fd(), *client, Poller::edge)) return;
    client->slot = clients_.size();
    clients_.push_back(std::move(client));
    metrics_.connections_accepted.add();
    metrics_.connections_open.add();
    if (clients_.size() >= tables_->config->limits.connections_max) pause_accepting();
}

void Worker::accept_failed(int error_number) {
    if (!accepting_paused_) log::warning("accept: {}; trying again", std::strerror(error_number));
    pause_accepting();
    deadlines_.set(accept_timer_, now_ + accept_pause);
}

// New connections wait in the kernel's backlog meanwhile.
void Worker::pause_accepting() {
    if (accepting_paused_) return;
    accepting_paused_ = true;
    for (const auto& listener : listeners_) poller_.remove(listener->fd());
}

void Worker::resume_accepting() {
    if (!accepting_paused_ || stopping_) return;
    accepting_paused_ = false;
    for (const auto& listener : listeners_) {
        if (Result<> added = poller_.add(listener->fd(), *listener, Poller::level); !added)
            log::error("a listening socket is not heard any more: {}", added.error().text());
    }
}

void Worker::drive_later(Client& client) {
    if (std::ranges::find(driven_later_, &client) == driven_later_.end()) driven_later_.push_back(&client);
}

void Worker::client_closed(Client& client) {
    std::erase(driven_later_, &client);
    const std::size_t slot = client.slot;
    poller_.retire(std::move(clients_[slot]));
    if (slot + 1 != clients_.size()) {
        clients_[slot] = std::move(clients_.back());
        clients_[slot]->slot = slot;
    }
    clients_.pop_back();
    metrics_.connections_open.subtract();
    if (accepting_paused_ && !accept_timer_.is_set() &&
        clients_.size() < tables_->config->limits.connections_max) {
        resume_accepting();
    }
}

void Worker::stop() {
    stopping_ = true;
    set_listeners({});
    for (std::size_t i = clients_.size(); i-- > 0;)
        clients_[i]->stop();  // those that close give up their slot
}

void Worker::stop_now() {
    stopped_ = true;
}

std::unique_ptr<Exchange> Worker::take_exchange() {
    if (exchanges_.empty()) return std::make_unique<Exchange>(*this);
    std::unique_ptr<Exchange> exchange = std::move(exchanges_.back());
    exchanges_.pop_back();
    return exchange;
}

void Worker::give_back(std::unique_ptr<Exchange> exchange) {
    exchange->reset();
    exchanges_.push_back(std::move(exchange));  // its own code may still be running: freed after the turn
}

bool Worker::is_trusted(const std::string& address) const {
    if (tables_->trusted.empty()) return false;
    const std::optional<IpAddress> ip = parse_ip(address);
    return ip && contains_any(tables_->trusted, *ip);
}

std::string_view Worker::wall_text() {
    const auto ms = std::chrono::floor<milliseconds>(wall_.time_since_epoch()).count();
    if (ms != wall_text_of_) {
        wall_text_of_ = ms;
        format_time(wall_, wall_text_);
    }
    return {wall_text_, 24};
}

void Worker::log(const AccessRecord& record) {
    if (log_lines_.empty()) {
        log_lines_.reserve(log_flush_bytes + 4096);
        deadlines_.set(log_timer_, now_ + log_flush_after);
    }
    append_line(log_lines_, record);
    if (log_lines_.size() >= log_flush_bytes) flush_log();
}

void Worker::flush_log() {
    deadlines_.clear(log_timer_);
    if (log_lines_.empty()) return;
    const auto lines = static_cast<std::uint64_t>(std::ranges::count(log_lines_, '\n'));
    if (!log_writer_.submit(std::exchange(log_lines_, {}))) metrics_.log_lines_dropped.add(lines);
}

}  // namespace havn::gateway
