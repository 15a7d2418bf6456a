#include "gateway/core/endpoint_versions.h"

namespace havn::gateway {
namespace {

std::set<std::string> addresses(const Clusters::Table& table) {
    std::set<std::string> all;
    for (const auto& [service, entries] : table) {
        for (const Clusters::Entry& entry : entries) all.insert(entry.address);
    }
    return all;
}

}  // namespace

EndpointVersions::News EndpointVersions::replace(const Clusters::Table& table, std::uint64_t version,
                                                 const std::set<std::size_t>& threads) {
    const std::set<std::string> now = addresses(table);
    for (const std::string& address : addresses(table_)) {
        if (now.contains(address)) continue;
        Draining& draining = draining_[address];
        draining.version = version;
        draining.threads.insert(threads.begin(), threads.end());
    }
    for (const std::string& address : now) draining_.erase(address);
    table_ = table;
    version_ = version;
    applying_[version] = threads;
    return take_news();
}

EndpointVersions::News EndpointVersions::applied(std::size_t thread, std::uint64_t version) {
    const auto entry = applying_.find(version);
    if (entry != applying_.end()) entry->second.erase(thread);
    return take_news();
}

EndpointVersions::News EndpointVersions::drained(std::size_t thread, const std::string& address,
                                                 std::uint64_t removed_by) {
    const auto entry = draining_.find(address);
    if (entry == draining_.end() || entry->second.version != removed_by) return {};
    entry->second.threads.erase(thread);
    return take_news();
}

EndpointVersions::News EndpointVersions::thread_ended(std::size_t thread) {
    for (auto& [version, threads] : applying_) threads.erase(thread);
    for (auto& [address, draining] : draining_) draining.threads.erase(thread);
    return take_news();
}

EndpointVersions::News EndpointVersions::take_news() {
    News news;
    std::erase_if(applying_, [&](const auto& entry) {
        if (!entry.second.empty()) return false;
        news.applied.push_back(entry.first);
        return true;
    });
    std::erase_if(draining_, [&](const auto& entry) {
        if (!entry.second.threads.empty()) return false;
        news.drained.push_back(entry.first);
        return true;
    });
    return news;
}

}  // namespace havn::gateway
