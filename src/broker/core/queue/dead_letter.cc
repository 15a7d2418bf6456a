#include "broker/core/queue/dead_letter.h"

#include <algorithm>
#include <array>
#include <vector>

#include "broker/core/queue/vhost.h"
#include "wire/amqp/frame.h"
#include "wire/amqp/properties.h"
#include "wire/amqp/table.h"

namespace havn::broker {

namespace {

constexpr std::size_t deaths_max = 32;

struct Death {
    std::string_view queue, reason;
    std::int64_t count = 1;
    amqp::Value whole;  // as it came
};

std::string_view text_of(amqp::Table table, std::string_view name) {
    const auto value = amqp::find(table, name);
    return value ? value->text().value_or("") : "";
}

// The x-death of earlier deaths, newest first; entries that are no tables are left out.
std::vector<Death> earlier_deaths(amqp::Table headers) {
    std::vector<Death> deaths;
    const auto value = amqp::find(headers, "x-death");
    if (!value || !value->array()) return deaths;
    amqp::ArrayReader reader(*value->array());
    while (const auto element = reader.next()) {
        const auto table = element->table();
        if (!table) continue;
        Death death{text_of(*table, "queue"), text_of(*table, "reason"), 1, *element};
        if (const auto count = amqp::find(*table, "count")) death.count = count->integer().value_or(1);
        deaths.push_back(death);
    }
    return deaths;
}

// Back in a queue it died in, and no consumer had a say on the way: it would circle for ever.
bool is_cycle(const Queue& target, const std::vector<Death>& deaths) {
    const auto before = std::ranges::find(deaths, std::string_view(target.name()), &Death::queue);
    if (before == deaths.end()) return false;
    return std::none_of(deaths.begin(), before + 1, [](const Death& d) { return d.reason == "rejected"; });
}

std::string this_death(const Vhost& vhost, const Queue& from, DeathReason reason, const Message& message,
                       const amqp::Properties& properties, std::int64_t count) {
    std::string keys;
    amqp::append_value(keys, {'S', message.routing_key()});
    amqp::TableWriter table;
    table.integer("count", count).text("reason", name(reason)).text("queue", from.name());
    table.timestamp("time",
                    static_cast<std::uint64_t>(
                        std::chrono::floor<seconds>(vhost.clock().wall()).time_since_epoch().count()));
    table.text("exchange", message.exchange()).array("routing-keys", keys);
    if (properties.has(amqp::Properties::has_expiration)) {
        table.text("original-expiration", properties.expiration);
    }
    return table.bytes();
}

// The headers with x-death brought up to date, and the first and last death beside it.
std::string headers_with_death(amqp::Table headers, const std::vector<Death>& deaths, const Queue& from,
                               DeathReason reason, const Message& message, std::string_view death) {
    static constexpr std::array<std::string_view, 3> last{"x-last-death-queue", "x-last-death-reason",
                                                          "x-last-death-exchange"};
    amqp::TableWriter out;
    amqp::TableReader reader(headers);
    while (const auto entry = reader.next()) {
        if (entry->name == "x-death" || std::ranges::find(last, entry->name) != last.end()) continue;
        out.value(entry->name, entry->value);
    }
    std::string array;
    amqp::append_value(array, {'F', death});
    std::size_t kept = 0;
    for (const Death& earlier : deaths) {
        if (earlier.queue == from.name() && earlier.reason == name(reason)) continue;
        if (++kept == deaths_max) break;
        amqp::append_value(array, earlier.whole);
    }
    out.array("x-death", array);
    if (!amqp::find(headers, "x-first-death-queue")) {
        out.text("x-first-death-queue", from.name()).text("x-first-death-reason", name(reason));
        out.text("x-first-death-exchange", message.exchange());
    }
    out.text(last[0], from.name()).text(last[1], name(reason)).text(last[2], message.exchange());
    return out.bytes();
}

bool tells_of_death(std::string_view header) {
    return header == "x-death" || header.starts_with("x-first-death-") || header.starts_with("x-last-death-");
}

std::string without_headers(amqp::Properties properties, bool all) {
    amqp::TableWriter kept;
    amqp::TableReader reader(properties.headers);
    while (const auto entry = reader.next()) {
        if (!all && !tells_of_death(entry->name)) kept.value(entry->name, entry->value);
    }
    properties.headers = kept.table();
    if (kept.bytes().empty()) properties.flags &= static_cast<std::uint16_t>(~amqp::Properties::has_headers);
    std::string encoded;
    amqp::append_properties(encoded, properties);
    return encoded;
}

std::string encode_with_headers(amqp::Properties properties, const std::string& headers) {
    properties.headers = {headers};
    properties.flags |= amqp::Properties::has_headers;
    std::string encoded;
    amqp::append_properties(encoded, properties);
    return encoded;
}

}  // namespace

MessagePtr with_fewer_headers(const Message& message, std::size_t bytes_max) {
    const auto properties = amqp::parse_properties(message.properties());
    HAVN_ASSERT(properties, "properties were checked when the message was published");
    std::string encoded = without_headers(*properties, false);
    if (encoded.size() > bytes_max) encoded = without_headers(*properties, true);
    return MessagePtr::make({message.exchange(), message.routing_key(), encoded, message.body()});
}

Result<> dead_letter(Vhost& vhost, const Queue& from, const Entry& entry, DeathReason reason,
                     std::string_view exchange, const std::optional<std::string>& key) {
    const Result<MessagePtr> content = vhost.store().content(entry);
    if (!content && content.error().kind == Error::Kind::corrupt) return {};
    if (!content) return std::unexpected(content.error());
    const MessagePtr& message = *content;
    auto properties = amqp::parse_properties(message->properties());
    HAVN_ASSERT(properties, "properties were checked when the message was published");
    const std::vector<Death> deaths = earlier_deaths(properties->headers);
    const std::string_view routing_key = key ? std::string_view(*key) : message->routing_key();
    std::vector<Queue*> targets = vhost.router().find(exchange, routing_key, properties->headers).queues;

    std::vector<Death> with_this = deaths;
    with_this.insert(with_this.begin(), Death{from.name(), name(reason), 1, {}});
    std::erase_if(targets, [&](const Queue* target) { return is_cycle(*target, with_this); });
    if (targets.empty()) return {};

    std::int64_t count = 1;
    for (const Death& earlier : deaths) {
        if (earlier.queue == from.name() && earlier.reason == name(reason)) count = earlier.count + 1;
    }
    const std::string death = this_death(vhost, from, reason, *message, *properties, count);
    properties->flags &= static_cast<std::uint16_t>(~amqp::Properties::has_expiration);
    const std::string headers =
        headers_with_death(properties->headers, deaths, from, reason, *message, death);
    std::string encoded = encode_with_headers(*properties, headers);
    if (encoded.size() + amqp::content_header_fixed + amqp::frame_overhead > vhost.frame_bytes_max()) {
        encoded = without_headers(*properties, false);
    }
    const Publication again{{exchange, routing_key, encoded, message->body()},
                            properties->persistent(),
                            properties->priority,
                            {}};
    vhost.enqueue(again, targets);
    ++vhost.counters().dead_lettered;
    return {};
}

}  // namespace havn::broker
