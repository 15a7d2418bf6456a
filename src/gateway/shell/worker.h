// One thread of the gateway: its own listeners, clients, upstream pools, deadlines and log buffer. Threads
// share nothing on the path of a request.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/wall_time.h"
#include "gateway/core/turn/access_log.h"
#include "gateway/core/turn/buffer.h"
#include "gateway/core/turn/deadlines.h"
#include "gateway/core/turn/ids.h"
#include "gateway/shell/client.h"
#include "gateway/shell/exchange.h"
#include "gateway/shell/listener.h"
#include "gateway/shell/log_writer.h"
#include "gateway/shell/poller.h"
#include "gateway/shell/shared.h"
#include "gateway/shell/tables.h"
#include "gateway/shell/upstream.h"

namespace havn::gateway {

class Worker : private Services::Observer {
  public:
    using Drained = std::function<void(const std::string& endpoint, std::uint64_t removed_by)>;

    // `drained` is called on the worker's thread.
    Worker(Shared& shared, Metrics& metrics, LogWriter& log, Drained drained);
    ~Worker() override;

    // Serves until stop() and the last client is gone.
    void run();

    // One round of run(): waits for events, at most for `wait_max`, and does what they allow.
    void turn(milliseconds wait_max = Deadlines::never);

    // Safe from any thread: runs `job` on the worker's.
    void post(std::function<void()> job);

    // The rest is for the worker's thread.
    void set_config(std::shared_ptr<const Config> config);
    void set_listeners(std::vector<Listener::Source> sources);
    void set_endpoints(const Services::Table& table, std::uint64_t version) {
        services_.set_endpoints(table, version);
    }
    void stop();  // takes no new connection, finishes what is under way
    void stop_now();

    Time now() const { return now_; }
    WallTime wall_now() const { return wall_; }
    std::string_view wall_text();
    std::string http_date() const { return format_http_date(wall_); }
    Deadlines& deadlines() { return deadlines_; }
    BufferPool& buffers() { return buffers_; }
    MemoryShare& memory() { return memory_; }
    Services& services() { return services_; }
    Metrics& metrics() { return metrics_; }
    IdGenerator& ids() { return ids_; }
    Poller& poller() { return poller_; }
    Publisher& publisher() { return *publisher_; }
    const Tables& tables() const { return *tables_; }
    std::shared_ptr<const Tables> shared_tables() const { return tables_; }
    std::vector<http1::Header>& header_storage() { return headers_; }
    bool stopping() const { return stopping_; }
    void log(const AccessRecord& record);

    std::unique_ptr<Exchange> take_exchange();
    void give_back(std::unique_ptr<Exchange> exchange);

    // A place for a connection that waits to be accepted; none when there is no room for it, and listening is
    // paused. place_at_hand() is for one that may wait too: nobody is closed for it, and nothing is paused.
    Admission::Place place_for_one(bool from_outside);
    Admission::Place place_at_hand(bool from_outside);
    void accepted(io::Fd fd, const IpAddress& address, Admission::Place place, const RouteEntry* service);
    void accept_failed(int error_number);
    void client_waits(Client& client);  // for its next request
    void client_closed(Client& client);
    void job_refused();         // its body found no room in memory
    std::size_t lingering = 0;  // clients given time to send what nobody will read

    // Closes up to `most` clients from outside that have waited for their next request for `idle` at least,
    // those first that have waited longest.
    std::size_t shed_idle(std::size_t most, Duration idle);

    // True when `error_number` said that descriptors are short, and some were freed.
    bool free_descriptors(int error_number) override;

    // Goes on with this client in the next turn: nobody keeps the thread to himself.
    void drive_later(Client& client);

  private:
    // The job list of other threads, woken through an eventfd.
    class Mailbox : public Pollable {
      public:
        explicit Mailbox(Poller& poller);
        void on_ready(std::uint32_t events) override;
        void post(std::function<void()> job);

      private:
        io::Fd event_;
        std::mutex mutex_;
        std::vector<std::function<void()>> jobs_;
    };
    template <void (Worker::*function)()>
    struct CallTimer final : Timer {
        explicit CallTimer(Worker& to) : worker(to) {}
        void on_deadline() override { (worker.*function)(); }
        Worker& worker;
    };
    struct ServiceRoute {  // of a service's own address: everything there goes to it
        Route route;
        RouteEntry entry;
        void take_deadlines();
    };

    void on_drained(const std::string& endpoint, std::uint64_t removed_by) override {
        drained_(endpoint, removed_by);
    }
    Admission::Place place_inside() override { return shared_.admission.inside(); }
    const RouteEntry* service_route(const std::string& name);
    void pause_accepting(bool services_too);
    void resume_accepting();
    void listen_to(Listener& listener);
    bool is_trusted(const IpAddress& address) const;
    void flush_log();

    // Notes that it is wrong now; true when that is news. Word that it is over comes by itself.
    bool is_news(Alarm& alarm);
    void tell_what_is_over();

    Shared& shared_;
    Metrics& metrics_;
    MemoryShare memory_{shared_.memory};
    LogWriter& log_writer_;
    Drained drained_;
    Poller poller_;
    Time now_;
    WallTime wall_;
    std::int64_t wall_text_of_ = -1;  // ms
    std::array<char, rfc3339_size> wall_text_{};
    Deadlines deadlines_;
    BufferPool buffers_;
    Services services_;
    IdGenerator ids_;
    Mailbox mailbox_;
    std::map<std::string, std::unique_ptr<ServiceRoute>> service_routes_;
    std::shared_ptr<const Tables> tables_;
    std::unique_ptr<Publisher> publisher_;
    std::vector<http1::Header> headers_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::list<Client*> by_age_;  // from outside: in the order in which they began to wait, busy ones anywhere
    std::vector<Client*> driven_later_;
    std::vector<std::unique_ptr<Exchange>> exchanges_;  // free ones
    std::string log_lines_;
    CallTimer<&Worker::flush_log> log_timer_{*this};
    CallTimer<&Worker::resume_accepting> accept_timer_{*this};
    CallTimer<&Worker::tell_what_is_over> alarm_timer_{*this};
    bool edge_paused_ = false, services_paused_ = false;
    bool more_to_send_ = false;
    bool stopping_ = false;
    bool stopped_ = false;
};

}  // namespace havn::gateway
