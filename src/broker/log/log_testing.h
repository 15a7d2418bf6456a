// For tests of the log: what recovery told, and a log on a LossyDisk whose writer is moved by hand.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/log/log.h"
#include "broker/log/lossy_disk_testing.h"

namespace havn::broker {

struct Recovered final : RecoverySink {
    struct Delivery {
        std::uint32_t queue = 0;
        DeliveryId id;
        std::uint32_t offset = 0;
        std::string exchange, routing_key, properties, body;
        History history;
    };
    std::map<std::string, std::string> topology;
    bool topology_complete = false;
    std::vector<Delivery> deliveries;
    std::set<std::uint32_t> unknown_queues;

    void on_topology(std::string_view key, std::string_view value) override { topology.emplace(key, value); }
    void on_topology_complete() override { topology_complete = true; }
    bool on_delivery(QueueId queue, DeliveryId id, std::uint32_t offset, const Message::Parts& message,
                     const History& history) override {
        const auto number = static_cast<std::uint32_t>(queue);
        if (unknown_queues.contains(number)) return false;
        deliveries.push_back({number, id, offset, std::string(message.exchange),
                              std::string(message.routing_key), std::string(message.properties),
                              std::string(message.body), history});
        return true;
    }
    std::vector<std::string> bodies() const {
        std::vector<std::string> all;
        for (const Delivery& delivery : deliveries) all.push_back(delivery.body);
        return all;
    }
};

// A broker's worth of log: open, use, lose, open again.
struct LogOnLossyDisk {
    LossyDisk disk;
    std::uint64_t segment_bytes = 4096, reserve_bytes = 1024;
    std::uint32_t next_salt = 1;
    std::uint32_t rewrite_after_ticks = 2;
    std::unique_ptr<Log> log;
    Recovered recovered;

    Result<> open() {
        Log::Options options;
        options.segment_bytes = options.first_segment_bytes = segment_bytes;
        options.reserve_bytes = reserve_bytes;
        options.prepare_spares = false;
        options.threaded = false;
        options.rewrite_after_ticks = rewrite_after_ticks;
        options.written = [] {};
        options.salt = [this] { return next_salt++; };
        recovered.topology.clear();
        recovered.topology_complete = false;
        recovered.deliveries.clear();
        log = std::make_unique<Log>(disk.storage(), std::move(options));
        return log->recover(recovered);
    }
    void reopen() {  // as after kill -9: the kernel has everything that was written
        log.reset();
        if (Result<> opened = open(); !opened) throw std::runtime_error(opened.error().text());
    }
    static constexpr WallMilliseconds published = 1'700'000'000'000;
    Journal::Placement place(std::string_view body, std::uint32_t queue = 1) {
        const QueueId queues[] = {QueueId{queue}};
        return log->append(*MessagePtr::make({"", "key", "props", body}), queues, published);
    }
    DeliveryId publish(std::string_view body, std::uint32_t queue = 1) { return place(body, queue).first; }
    void settle(DeliveryId id, std::size_t body_bytes = 9) {
        log->settle(id, static_cast<std::uint32_t>(body_bytes));
    }
    void sync() {  // until all is durable
        log->flush_all();
        while (log->submitted()) log->write_submitted();
        log->flush(log->position());
        while (log->submitted()) log->write_submitted();
    }
    std::size_t segments() const {
        return static_cast<std::size_t>(std::ranges::count_if(
            disk.names, [](const auto& entry) { return entry.first.ends_with(".log"); }));
    }
    std::string& bytes_of(std::uint32_t segment) {
        for (auto& [name, inode] : disk.names) {
            if (const auto parsed = SegmentName::parse(name); parsed && parsed->number == segment) {
                return inode->now;
            }
        }
        throw std::runtime_error("no such segment");
    }
    bool has_segment(std::uint32_t segment) const {
        return std::ranges::any_of(disk.names, [&](const auto& entry) {
            const auto parsed = SegmentName::parse(entry.first);
            return parsed && parsed->number == segment;
        });
    }
};

}  // namespace havn::broker
