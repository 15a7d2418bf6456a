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
static constexpr std::size_t shed_at_once = 16;    // clients, when descriptors or places are short
static constexpr std::size_t shed_steps_max = 64;  // busy ones looked at to find an idle one
static constexpr milliseconds idle_min{200};       // between two requests, at the least

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

Worker::Worker(Shared& shared, Metrics& metrics, LogWriter& log, Drained drained)
    : shared_(shared),
      metrics_(metrics),
      log_writer_(log),
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

void Worker::turn(milliseconds wait_max) {
    const bool at_once = more_to_send_ || !driven_later_.empty();
    poller_.wait(at_once ? milliseconds(0) : std::min(deadlines_.wait(io::now()), wait_max));
    now_ = io::now();
    wall_ = io::wall_now();
    const std::vector<Client*> later = std::exchange(driven_later_, {});
    for (Client* client : later) client->later_slot = SIZE_MAX;
    for (Client* client : later) client->drive();  // one that closes meanwhile lives to the end of the turn
    poller_.dispatch();
    deadlines_.advance(now_, [](Deadlines::Entry& entry) { static_cast<Timer&>(entry).on_deadline(); });
    more_to_send_ = publisher_->end_of_turn();
    if (exchanges_.size() > free_exchanges_max) exchanges_.resize(free_exchanges_max);
    if (stopping_ && clients_.empty()) stopped_ = true;
}

void Worker::set_config(std::shared_ptr<const Config> config) {
    const Limits& limits = config->limits;
    buffers_.set_capacity(std::max<std::size_t>(limits.head_bytes_max, 32768) + BufferPool::own_fields_bytes);
    headers_.resize(std::max<std::size_t>(limits.header_count_max, 256));
    services_.configure(config->upstreams);
    for (auto& [name, route] : service_routes_) route->take_deadlines();
    tables_ = std::make_shared<const Tables>(std::move(config), services_, metrics_);
    if (publisher_) publisher_->set_broker(tables_->config->broker);
}

void Worker::ServiceRoute::take_deadlines() {
    const UpstreamConfig& settings = entry.service->settings;
    route.connect_timeout = settings.connect_timeout;
    route.idle_timeout = settings.idle_timeout;
    route.tunnel_timeout = settings.tunnel_timeout;
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
        known->take_deadlines();
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
        probe_when_silent(source.fd.get());
        listeners_.push_back(std::make_unique<Listener>(*this, std::move(source.fd), route));
    }
    for (const auto& listener : listeners_) {
        if (!(listener->of_edge() ? edge_paused_ : services_paused_)) listen_to(*listener);
    }
    // The socket stays open elsewhere, so closing ours would not end the old registration.
    for (std::unique_ptr<Listener>& old : before) {
        poller_.remove(old->fd());
        poller_.retire(std::move(old));
    }
}

void Worker::listen_to(Listener& listener) {
    const Result<> added = poller_.add(listener.fd(), listener, Poller::level);
    if (!added) log::error("a listening socket is not heard any more: {}", added.error().text());
}

Admission::Place Worker::place_at_hand(bool from_outside) {
    return from_outside ? shared_.admission.reserve() : shared_.admission.inside();
}

// Full, somebody who only waits makes room. Where nobody does, new ones wait in the kernel's backlog.
Admission::Place Worker::place_for_one(bool from_outside) {
    Admission& admission = shared_.admission;
    Admission::Place place = place_at_hand(from_outside);
    // What one thread frees another may take first, which then has nobody to close for itself.
    for (std::size_t tries = 0; !place && tries < shed_at_once && shed_idle(1, idle_min) > 0; ++tries) {
        place = admission.reserve();
        if (is_news(shared_.alarms.shedding)) {
            log::warning(
                "{} connections from outside are open: those idle for longest are closed for new ones; raise "
                "max_connections in [gateway.limits] or the limit of open files ({})",
                admission.connections(), admission.descriptors_max());
        }
    }
    if (place) return place;
    if (is_news(shared_.alarms.full)) {
        log::warning(
            "{} connections from outside are open and none has been idle for long: new ones wait; raise "
            "max_connections in [gateway.limits] or the limit of open files ({})",
            admission.connections(), admission.descriptors_max());
    }
    shared_.shed_elsewhere(*this, idle_min);
    pause_accepting(false);
    return place;
}

// Services speak for the clients they serve; others only when their network is trusted.
void Worker::accepted(io::Fd fd, const IpAddress& address, Admission::Place place,
                      const RouteEntry* service) {
    Admission& admission = shared_.admission;
    const bool trusted = service != nullptr || is_trusted(address);
    if (!trusted && !admission.settle(place, address)) {
        metrics_.connections_refused.add();
        if (is_news(shared_.alarms.address)) {
            log::warning(
                "{} has {} connections open: further ones of it are closed; a proxy of yours belongs into "
                "trusted_proxies, else raise max_connections_per_address in [gateway.limits]",
                to_text(address), admission.per_address_max());
        }
        return;
    }
    auto client = std::make_unique<Client>(*this, std::move(fd), address, trusted, std::move(place), service);
    if (!poller_.add(client->socket.fd(), *client, Poller::edge)) return;
    client->slot = clients_.size();
    if (!service) client->by_age = by_age_.insert(by_age_.end(), client.get());
    clients_.push_back(std::move(client));
    metrics_.connections_accepted.add();
    metrics_.connections_open.add();
}

void Worker::job_refused() {
    metrics_.memory_refusals.add();
    if (!is_news(shared_.alarms.memory)) return;
    log::warning(
        "request bodies for queues fill the memory for them ({} of {} bytes): jobs are answered 503 until "
        "there "
        "is room; raise memory in [gateway]",
        shared_.memory.used(), shared_.memory.limit());
}

bool Worker::is_news(Alarm& alarm) {
    if (!alarm_timer_.is_set()) deadlines_.set(alarm_timer_, now_ + Alarm::calm);
    return alarm.raise(now_);
}

void Worker::tell_what_is_over() {
    bool any = false;
    for (const auto& [alarm, over] : shared_.alarms.all()) {
        if (alarm->calmed_down(now_)) log::info("{}", over);
        any = any || alarm->raised();
    }
    if (any) deadlines_.set(alarm_timer_, now_ + Alarm::calm);
}

void Worker::accept_failed(int error_number) {
    if (free_descriptors(error_number)) return;  // the listener is level-triggered and tells again
    if (is_news(shared_.alarms.descriptors)) {
        log::warning("accept: {}; trying again", std::strerror(error_number));
    }
    pause_accepting(true);
}

bool Worker::free_descriptors(int error_number) {
    if (error_number != EMFILE && error_number != ENFILE) return false;
    const std::size_t closed = shed_idle(shed_at_once, Duration::zero());
    if (is_news(shared_.alarms.descriptors)) {
        log::warning(
            "{} (limit {}): connections from outside that are idle are closed; raise the limit of open files "
            "(LimitNOFILE of the unit, ulimit -Hn), or lower max_connections in [gateway.limits]",
            std::strerror(error_number), shared_.admission.descriptors_max());
    }
    if (closed == 0) shared_.shed_elsewhere(*this, Duration::zero());
    return closed > 0;
}

// The oldest first. A busy one that stands in the way goes to the end, where it belongs when it is done.
std::size_t Worker::shed_idle(std::size_t most, Duration idle) {
    std::size_t closed = 0;
    const std::size_t steps = std::min(by_age_.size(), shed_steps_max + most);
    for (std::size_t i = 0; i < steps && closed < most; ++i) {
        Client& oldest = *by_age_.front();
        if (oldest.idle_since(now_ - idle)) {
            oldest.close_idle();
            ++closed;
        } else {
            by_age_.splice(by_age_.end(), by_age_, by_age_.begin());
        }
    }
    metrics_.connections_shed.add(closed);
    return closed;
}

// New connections wait in the kernel's backlog meanwhile. Those between services do so only when there is no
// descriptor for them.
void Worker::pause_accepting(bool services_too) {
    for (const auto& listener : listeners_) {
        bool& paused = listener->of_edge() ? edge_paused_ : services_paused_;
        if (!paused && (listener->of_edge() || services_too)) poller_.remove(listener->fd());
    }
    edge_paused_ = true;
    services_paused_ = services_paused_ || services_too;
    if (!accept_timer_.is_set()) deadlines_.set(accept_timer_, now_ + accept_pause);
}

void Worker::resume_accepting() {
    if (stopping_) return;
    for (const auto& listener : listeners_) {
        if (listener->of_edge() ? edge_paused_ : services_paused_) listen_to(*listener);
    }
    edge_paused_ = services_paused_ = false;
}

void Worker::drive_later(Client& client) {
    if (client.later_slot != SIZE_MAX) return;
    client.later_slot = driven_later_.size();
    driven_later_.push_back(&client);
}

void Worker::client_waits(Client& client) {
    if (!client.service()) by_age_.splice(by_age_.end(), by_age_, client.by_age);
}

void Worker::client_closed(Client& client) {
    if (client.later_slot != SIZE_MAX) {
        driven_later_[client.later_slot] = driven_later_.back();
        driven_later_[client.later_slot]->later_slot = client.later_slot;
        driven_later_.pop_back();
        client.later_slot = SIZE_MAX;
    }
    if (!client.service()) by_age_.erase(client.by_age);
    const std::size_t slot = client.slot;
    poller_.retire(std::move(clients_[slot]));
    if (slot + 1 != clients_.size()) {
        clients_[slot] = std::move(clients_.back());
        clients_[slot]->slot = slot;
    }
    clients_.pop_back();
    metrics_.connections_open.subtract();
    if (edge_paused_ && !services_paused_ && !shared_.admission.full()) resume_accepting();
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

bool Worker::is_trusted(const IpAddress& address) const {
    return contains_any(tables_->trusted, address);
}

std::string_view Worker::wall_text() {
    const auto ms = std::chrono::floor<milliseconds>(wall_.time_since_epoch()).count();
    if (ms != wall_text_of_) {
        wall_text_of_ = ms;
        write_rfc3339(wall_, wall_text_);
    }
    return {wall_text_.data(), wall_text_.size()};
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
