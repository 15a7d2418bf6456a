#include "broker/core/queue/exchange.h"

#include <algorithm>
#include <array>

#include "wire/amqp/table.h"

namespace havn::broker {

namespace {

constexpr std::array<std::string_view, 4> type_names{"direct", "fanout", "topic", "headers"};

}  // namespace

std::optional<ExchangeType> exchange_type(std::string_view name) {
    const auto found = std::ranges::find(type_names, name);
    if (found == type_names.end()) return std::nullopt;
    return static_cast<ExchangeType>(found - type_names.begin());
}

std::string_view name(ExchangeType type) {
    return type_names[static_cast<std::size_t>(type)];
}

Exchange::Exchange(ExchangeSpec spec) : spec_(std::move(spec)) {
    if (const auto alternate = amqp::find({spec_.arguments}, "alternate-exchange")) {
        alternate_ = alternate->text().value_or("");
    }
}

Binding* Exchange::find(std::string_view identity) const {
    const auto found = bindings_.find(identity);
    return found == bindings_.end() ? nullptr : found->second.get();
}

Binding& Exchange::add(const std::string& identity, Binding binding) {
    auto owned = std::make_unique<Binding>(std::move(binding));
    Binding* added = owned.get();
    added->source = this;
    bindings_.emplace(identity, std::move(owned));
    switch (spec_.type) {
        case ExchangeType::direct:
            by_key_[added->routing_key].push_back(added);
            break;
        case ExchangeType::topic:
            tree_.add(added->routing_key, added);
            break;
        case ExchangeType::fanout:
        case ExchangeType::headers:
            all_.push_back(added);
            break;
    }
    return *added;
}

void Exchange::remove(std::string_view identity) {
    const auto found = bindings_.find(identity);
    if (found == bindings_.end()) return;
    Binding* binding = found->second.get();
    switch (spec_.type) {
        case ExchangeType::direct: {
            const auto same_key = by_key_.find(binding->routing_key);
            std::erase(same_key->second, binding);
            if (same_key->second.empty()) by_key_.erase(same_key);
            break;
        }
        case ExchangeType::topic:
            tree_.remove(binding->routing_key, binding);
            break;
        case ExchangeType::fanout:
        case ExchangeType::headers:
            std::erase(all_, binding);
            break;
    }
    bindings_.erase(found);
}

void Exchange::match(std::string_view routing_key, amqp::Table headers, std::vector<Binding*>& found) {
    switch (spec_.type) {
        case ExchangeType::direct:
            if (const auto same_key = by_key_.find(routing_key); same_key != by_key_.end()) {
                found.insert(found.end(), same_key->second.begin(), same_key->second.end());
            }
            break;
        case ExchangeType::topic:
            tree_.match(routing_key, found);
            break;
        case ExchangeType::fanout:
            found.insert(found.end(), all_.begin(), all_.end());
            break;
        case ExchangeType::headers:
            std::ranges::copy_if(all_, std::back_inserter(found),
                                 [&](const Binding* b) { return headers_match(b->table(), headers); });
            break;
    }
}

bool headers_match(amqp::Table wanted, amqp::Table headers) {
    const auto match = amqp::find(wanted, "x-match");
    const std::string_view mode = match ? match->text().value_or("all") : "all";
    const bool any = mode.starts_with("any"), with_x = mode.ends_with("-with-x");
    amqp::TableReader reader(wanted);
    while (const auto want = reader.next()) {
        if (want->name == "x-match" || (!with_x && want->name.starts_with("x-"))) continue;
        const auto have = amqp::find(headers, want->name);
        const bool fits = have && (want->value.type == 'V' || want->value.equivalent(*have));
        if (fits == any) return any;
    }
    return !any;
}

Outcome check_headers_arguments(amqp::Table arguments) {
    const auto match = amqp::find(arguments, "x-match");
    if (!match) return {};
    const auto text = match->text();
    if (!text) {
        return refuse(ReplyCode::precondition_failed, "Invalid x-match field type '{}'; expected 'S'",
                      match->type);
    }
    if (*text == "all" || *text == "any" || *text == "all-with-x" || *text == "any-with-x") return {};
    return refuse(ReplyCode::precondition_failed,
                  "Invalid x-match field value \"{}\"; expected all, any, all-with-x, or any-with-x", *text);
}

}  // namespace havn::broker
