// What the outside was told about every message of a simulation of the broker, whatever crashed meanwhile.
//
// A message's body begins with its name, "VHOST#NUMBER;". Clients and the watched journal report here, and
// each report is checked against the earlier ones. Owned by the run; outlives brokers and clients.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace havn::sim {

class BrokerLedger {
  public:
    struct Message {
        std::string vhost;
        std::size_t bytes = 0;
        bool confirmed = false;     // its publisher has read the confirm
        bool acknowledged = false;  // a consumer has sent an acknowledgement, which may have been lost
        bool delivered = false;     // whole, to a consumer
    };

    // The body of a new message.
    std::string publish(const std::string& vhost, std::size_t padding);
    static std::string name_of(std::string_view body) { return std::string(body.substr(0, body.find(';'))); }

    // Clients.
    void on_confirm(const std::string& name) { messages_.at(name).confirmed = true; }
    void on_delivery(const std::string& vhost, std::string_view body);
    void on_acknowledge(const std::string& name) { messages_.at(name).acknowledged = true; }

    // The journal.
    void on_settle(const std::string& name);
    void settles_are_written(std::uint64_t position);  // those so far are durable once the log is up to there
    void on_durable(std::uint64_t position);

    // A crash, and what the next broker found.
    void on_crash();
    void on_recovered(const std::string& name);
    void on_recovery_complete() const;

    bool all_confirmed_are_done() const;
    std::size_t confirmed() const;

  private:
    std::map<std::string, Message> messages_;
    std::set<std::string> settled_;                           // in the present life of the broker
    std::set<std::string> settled_durably_;                   // for good
    std::set<std::string> unwritten_;                         // of settled_: not written yet
    std::map<std::uint64_t, std::set<std::string>> written_;  // durable from that position on
    std::set<std::string> recovered_;
    std::uint64_t published_ = 0;
};

}  // namespace havn::sim
