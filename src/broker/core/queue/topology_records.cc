#include "broker/core/queue/topology_records.h"

#include "wire/amqp/bytes.h"
#include "wire/amqp/table.h"

namespace havn::broker::topology {

namespace {

enum Flags : std::uint8_t { auto_delete = 1, internal = 2 };

void put_short(std::string& out, std::string_view text) {
    HAVN_ASSERT(text.size() <= 255, "a short string");
    out.push_back(static_cast<char>(text.size()));
    out.append(text);
}

std::string key_of(char kind, std::string_view vhost) {
    std::string key(1, kind);
    put_short(key, vhost);
    return key;
}

}  // namespace

std::string exchange_key(std::string_view vhost, std::string_view name) {
    return key_of('X', vhost).append(name);
}

std::string exchange_value(const ExchangeSpec& spec) {
    std::string value;
    value.push_back(static_cast<char>((spec.auto_delete ? auto_delete : 0) | (spec.internal ? internal : 0)));
    put_short(value, name(spec.type));
    return value + spec.arguments;
}

std::string queue_key(std::string_view vhost, std::string_view name) {
    return key_of('Q', vhost).append(name);
}

std::string queue_value(const QueueSpec& spec, QueueId id) {
    std::string value = id_value(static_cast<std::uint32_t>(id));
    value.push_back(static_cast<char>(spec.auto_delete ? auto_delete : 0));
    return value + spec.arguments;
}

std::string id_value(std::uint32_t id) {
    std::string value;
    amqp::store(amqp::extend(value, 4), id);
    return value;
}

std::string binding_identity(bool to_queue, std::string_view destination, std::string_view routing_key,
                             amqp::Table arguments) {
    std::string identity(1, to_queue ? 'q' : 'x');
    put_short(identity, destination);
    put_short(identity, routing_key);
    return identity.append(arguments.bytes);
}

std::string binding_key(std::string_view vhost, std::string_view source, std::string_view identity) {
    std::string key = key_of('B', vhost);
    put_short(key, source);
    return key.append(identity);
}

std::optional<Key> read_key(std::string_view key) {
    if (key.empty()) return std::nullopt;
    const char letter = key[0];
    Key read;
    switch (letter | 0x20) {  // small letters: before version 3
        case 'x':
            read.kind = Key::Kind::exchange;
            break;
        case 'q':
            read.kind = Key::Kind::queue;
            break;
        case 'b':
            read.kind = Key::Kind::binding;
            break;
        default:
            return std::nullopt;
    }
    read.outdated = (letter & 0x20) != 0;
    amqp::Reader in(key.substr(1));
    read.vhost = read.outdated ? std::string_view("/") : in.short_string();
    read.rest = in.rest();
    if (!in.ok()) return std::nullopt;
    return read;
}

std::string current_key(const Key& key) {
    static constexpr std::string_view letters = "XQB";
    return key_of(letters[static_cast<std::size_t>(key.kind)], key.vhost).append(key.rest);
}

std::optional<ExchangeSpec> read_exchange(const Key& key, std::string_view value) {
    amqp::Reader in(value);
    ExchangeSpec spec;
    spec.name = key.rest;
    const auto flags = in.integer<std::uint8_t>();
    const auto type = exchange_type(in.short_string());
    spec.arguments = in.rest();
    if (!in.ok() || !type || !amqp::is_valid_table(spec.arguments)) return std::nullopt;
    spec.type = *type;
    spec.durable = true;
    spec.auto_delete = flags & auto_delete;
    spec.internal = flags & internal;
    return spec;
}

std::optional<QueueRecord> read_queue(const Key& key, std::string_view value) {
    amqp::Reader in(value);
    QueueRecord record;
    record.spec.name = key.rest;
    record.id = QueueId{in.integer<std::uint32_t>()};
    record.spec.durable = true;
    record.spec.auto_delete = in.integer<std::uint8_t>() & auto_delete;
    record.spec.arguments = in.rest();
    if (!in.ok() || !amqp::is_valid_table(record.spec.arguments)) return std::nullopt;
    return record;
}

std::optional<BindingRecord> read_binding(const Key& key) {
    amqp::Reader in(key.rest);
    BindingRecord record;
    record.vhost = key.vhost;
    record.source = in.short_string();
    record.identity = in.rest();
    record.to_queue = in.integer<std::uint8_t>() == 'q';
    record.destination = in.short_string();
    record.routing_key = in.short_string();
    record.arguments = in.rest();
    if (!in.ok() || !amqp::is_valid_table(record.arguments)) return std::nullopt;
    return record;
}

std::optional<std::uint32_t> read_id(std::string_view value) {
    if (value.size() != 4) return std::nullopt;
    return amqp::load<std::uint32_t>(value.data());
}

}  // namespace havn::broker::topology
