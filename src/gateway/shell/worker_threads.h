// The threads of the gateway: as many workers as the configuration wants, each with its share of the
// listening sockets. One that is too many takes no new connection and ends when those it has are done; its
// counters go on in the next one.
//
// All of it is for the main thread. What a worker reports comes back there: `post_back` runs a job on the
// main thread, from any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/shell/worker.h"

namespace havn::gateway {

class WorkerThreads {
  public:
    class Observer {
      public:
        virtual void on_applied(std::size_t thread, std::uint64_t version) = 0;
        virtual void on_drained(std::size_t thread, const std::string& address, std::uint64_t removed_by) = 0;
        virtual void on_thread_ended(std::size_t thread) = 0;

      protected:
        ~Observer() = default;
    };
    // By name and address; several of one address where the kernel spreads connections over them.
    using Sockets = std::map<std::pair<std::string, std::string>, std::vector<io::Fd>>;
    using PostBack = std::function<void(std::function<void()>)>;

    // All of them outlive it.
    WorkerThreads(Shared& shared, LineSink& log, Observer& observer, PostBack post_back)
        : shared_(shared), log_(log), observer_(observer), post_back_(std::move(post_back)) {}
    ~WorkerThreads() { join(); }

    void set_sockets(Sockets sockets);
    void set_config(std::shared_ptr<const Config> config);
    void set_endpoints(const Clusters::Table& table, std::uint64_t version);

    // As many threads, and for each its sockets, as configuration and sockets want.
    void arrange();

    void stop();  // takes no new connection
    void join();  // ends at once, whatever is under way

    // Closes clients that have been idle for long, beside those of who asks.
    void shed_beside(const Acceptor* asking, Duration idle);

    std::size_t count() const { return threads_.size(); }
    std::set<std::size_t> ids() const;
    std::vector<const Metrics*> metrics() const;

  private:
    struct Thread {
        std::size_t id = 0;
        std::unique_ptr<Metrics> metrics;
        std::unique_ptr<Worker> worker;
        std::thread thread;
    };

    std::size_t wanted() const;
    void start_one();
    void end_one();
    void ended(std::size_t id);
    Result<> share_out_sockets();
    void post_to_all(const std::function<void(Worker&)>& job);

    Shared& shared_;
    LineSink& log_;
    Observer& observer_;
    PostBack post_back_;
    std::vector<Thread> threads_;
    std::vector<Thread> leaving_;  // they finish what is under way
    // Of those that ended: the next thread counts on in them.
    std::vector<std::unique_ptr<Metrics>> ended_metrics_;
    std::size_t begun_ = 0;
    Sockets sockets_;
    bool sockets_changed_ = false;
    std::shared_ptr<const Config> config_ = std::make_shared<const Config>();
    Clusters::Table endpoints_;
    std::uint64_t version_ = 0;
};

}  // namespace havn::gateway
