#include "sim/broker_ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace havn::sim {

std::string BrokerLedger::publish(const std::string& vhost, std::size_t padding) {
    const std::string name = vhost + "#" + std::to_string(++published_);
    std::string body = name + ";" + std::string(padding, static_cast<char>('a' + published_ % 26));
    messages_[name] = {.vhost = vhost, .bytes = body.size()};
    return body;
}

void BrokerLedger::on_delivery(const std::string& vhost, std::string_view body) {
    const std::string name = name_of(body);
    const auto found = messages_.find(name);
    ASSERT_NE(found, messages_.end()) << "delivered, and nobody published it: " << name;
    EXPECT_EQ(found->second.vhost, vhost) << name << " crossed virtual hosts";
    EXPECT_EQ(found->second.bytes, body.size()) << name << " came in part";
    EXPECT_FALSE(settled_.contains(name))
        << name << " was delivered again after its acknowledgement was taken";
    found->second.delivered = true;
}

void BrokerLedger::on_settle(const std::string& name) {
    EXPECT_TRUE(messages_.at(name).acknowledged) << name << " was settled, and nobody acknowledged it";
    EXPECT_TRUE(settled_.insert(name).second) << name << " was settled twice";
    unwritten_.insert(name);
}

void BrokerLedger::settles_are_written(std::uint64_t position) {
    if (!unwritten_.empty()) written_[position].merge(unwritten_);
    unwritten_.clear();
}

void BrokerLedger::on_durable(std::uint64_t position) {
    while (!written_.empty() && written_.begin()->first <= position) {
        settled_durably_.merge(written_.begin()->second);
        written_.erase(written_.begin());
    }
}

void BrokerLedger::on_crash() {
    settled_.clear();
    unwritten_.clear();
    written_.clear();
    recovered_.clear();
}

void BrokerLedger::on_recovered(const std::string& name) {
    EXPECT_TRUE(messages_.contains(name)) << "recovered, and nobody published it: " << name;
    EXPECT_TRUE(recovered_.insert(name).second) << name << " was recovered twice";
    EXPECT_FALSE(settled_durably_.contains(name)) << name << " came back though it was settled durably";
}

void BrokerLedger::on_recovery_complete() const {
    for (const auto& [name, message] : messages_) {
        if (!message.confirmed || message.acknowledged) continue;
        EXPECT_TRUE(recovered_.contains(name)) << name << " was confirmed and is gone";
    }
}

bool BrokerLedger::all_confirmed_are_done() const {
    return std::ranges::all_of(messages_, [](const auto& named) {
        const Message& message = named.second;
        return !message.confirmed || (message.delivered && message.acknowledged);
    });
}

std::size_t BrokerLedger::confirmed() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(messages_, [](const auto& named) { return named.second.confirmed; }));
}

}  // namespace havn::sim
