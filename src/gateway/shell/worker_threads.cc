#include "gateway/shell/worker_threads.h"

#include <fcntl.h>

#include <algorithm>

#include "base/log.h"

namespace havn::gateway {
namespace {

constexpr std::size_t shed_beside_max = 16;  // clients, of each thread

}  // namespace

void WorkerThreads::set_sockets(Sockets sockets) {
    sockets_ = std::move(sockets);
    sockets_changed_ = true;
}

void WorkerThreads::set_config(std::shared_ptr<const Config> config) {
    config_ = std::move(config);
    post_to_all([config = config_](Worker& worker) { worker.set_config(config); });
}

void WorkerThreads::set_endpoints(const Clusters::Table& table, std::uint64_t version) {
    endpoints_ = table;
    version_ = version;
    for (const std::vector<Thread>* list : {&threads_, &leaving_}) {
        for (const Thread& thread : *list) {
            thread.worker->post([this, id = thread.id, worker = thread.worker.get(), table, version] {
                worker->set_endpoints(table, version);
                post_back_([this, id, version] { observer_.on_applied(id, version); });
            });
        }
    }
}

void WorkerThreads::arrange() {
    const std::size_t wanted = this->wanted(), before = threads_.size();
    while (threads_.size() < wanted) start_one();
    while (threads_.size() > wanted) end_one();
    if (before > 0 && before != wanted) log::info("{} threads instead of {}", wanted, before);
    if (!std::exchange(sockets_changed_, false) && before == wanted) return;
    if (Result<> shared = share_out_sockets(); !shared) log::error("{}", shared.error().text());
}

std::size_t WorkerThreads::wanted() const {
    if (config_->threads > 0) return config_->threads;
    std::size_t most = 0;
    for (const auto& [key, sockets] : sockets_) most = std::max(most, sockets.size());
    return most > 1 ? most : std::max(std::thread::hardware_concurrency(), 1u);
}

Result<> WorkerThreads::share_out_sockets() {
    std::vector<std::vector<Listener::Source>> per_thread(threads_.size());
    for (const auto& [key, sockets] : sockets_) {
        const std::size_t own = std::max(sockets.size(), threads_.size());
        for (std::size_t i = 0; i < own; ++i) {  // fewer sockets than threads: threads share
            io::Fd copy(::fcntl(sockets[i % sockets.size()].get(), F_DUPFD_CLOEXEC, 0));
            if (!copy) return fail_errno("listening socket");
            per_thread[i % threads_.size()].push_back({key.first, std::move(copy)});
        }
    }
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        auto sources = std::make_shared<std::vector<Listener::Source>>(std::move(per_thread[i]));
        threads_[i].worker->post(
            [worker = threads_[i].worker.get(), sources] { worker->set_listeners(std::move(*sources)); });
    }
    return {};
}

void WorkerThreads::start_one() {
    Thread thread;
    const std::size_t id = thread.id = ++begun_;
    if (ended_metrics_.empty()) {
        thread.metrics = std::make_unique<Metrics>();
    } else {
        thread.metrics = std::move(ended_metrics_.back());
        ended_metrics_.pop_back();
    }
    const auto drained = [this, id](const std::string& address, std::uint64_t removed_by) {
        post_back_([this, id, address, removed_by] { observer_.on_drained(id, address, removed_by); });
    };
    thread.worker = std::make_unique<Worker>(shared_, *thread.metrics, log_, drained);
    Worker* const worker = thread.worker.get();
    worker->post([worker, config = config_, endpoints = endpoints_, version = version_] {
        worker->set_config(config);
        worker->set_endpoints(endpoints, version);
    });
    thread.thread = std::thread([this, worker, id] {
        worker->run();
        post_back_([this, id] { ended(id); });
    });
    threads_.push_back(std::move(thread));
}

void WorkerThreads::end_one() {
    Thread thread = std::move(threads_.back());
    threads_.pop_back();
    thread.worker->post([worker = thread.worker.get()] { worker->stop(); });
    leaving_.push_back(std::move(thread));
}

void WorkerThreads::ended(std::size_t id) {
    const auto thread = std::ranges::find(leaving_, id, &Thread::id);
    if (thread == leaving_.end()) return;
    thread->thread.join();
    ended_metrics_.push_back(std::move(thread->metrics));
    leaving_.erase(thread);
    observer_.on_thread_ended(id);
}

void WorkerThreads::post_to_all(const std::function<void(Worker&)>& job) {
    for (const std::vector<Thread>* list : {&threads_, &leaving_}) {
        for (const Thread& thread : *list) {
            thread.worker->post([worker = thread.worker.get(), job] { job(*worker); });
        }
    }
}

void WorkerThreads::stop() {
    post_to_all([](Worker& worker) { worker.stop(); });
}

void WorkerThreads::join() {
    post_to_all([](Worker& worker) { worker.stop_now(); });
    for (std::vector<Thread>* list : {&threads_, &leaving_}) {
        for (Thread& thread : *list) {
            if (thread.thread.joinable()) thread.thread.join();
        }
    }
}

void WorkerThreads::shed_beside(const Acceptor* asking, Duration idle) {
    post_to_all([asking, idle](Worker& worker) {
        if (&worker.acceptor() != asking) worker.acceptor().shed_idle(shed_beside_max, idle);
    });
}

std::set<std::size_t> WorkerThreads::ids() const {
    std::set<std::size_t> all;
    for (const std::vector<Thread>* list : {&threads_, &leaving_}) {
        for (const Thread& thread : *list) all.insert(thread.id);
    }
    return all;
}

std::vector<const Metrics*> WorkerThreads::metrics() const {
    std::vector<const Metrics*> all;
    for (const std::vector<Thread>* list : {&threads_, &leaving_}) {
        for (const Thread& thread : *list) all.push_back(thread.metrics.get());
    }
    for (const std::unique_ptr<Metrics>& metrics : ended_metrics_) all.push_back(metrics.get());
    return all;
}

}  // namespace havn::gateway
