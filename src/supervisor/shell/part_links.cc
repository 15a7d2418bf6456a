#include "supervisor/shell/part_links.h"

#include <fmt/format.h>

namespace havn::supervisor {

namespace {

std::string stored_as(InstanceId part) {
    return fmt::format("link|{}", part);
}

}  // namespace

Result<io::Fd> PartLinks::prepare(InstanceId part) {
    Result<std::pair<io::Fd, io::Fd>> ends = io::Link::make_pair();
    if (!ends) return std::unexpected(ends.error());
    if (Result<> kept = store_.keep(stored_as(part), ends->first.get()); !kept) {
        return std::unexpected(kept.error());
    }
    return std::move(ends->second);
}

Result<> PartLinks::connect(InstanceId part, const std::string& name) {
    Result<io::Fd> ours = store_.duplicate(stored_as(part));
    if (!ours) return std::unexpected(ours.error());
    auto link = std::make_shared<io::Link>(loop_.executor(), std::move(*ours));
    parts_[part].link = link;
    by_name_[name] = part;
    // Not before this turn is over: a part that was taken over may have spoken already, and nobody may act on
    // it until the table knows what is wanted.
    loop_.post([this, part, link] { loop_.spawn(receive(this, part, link)); });
    return {};
}

void PartLinks::close(InstanceId part) {
    if (const auto found = parts_.extract(part); !found.empty()) found.mapped().link->close();
    store_.drop(stored_as(part));
}

io::Link* PartLinks::to(InstanceId part) const {
    const auto found = parts_.find(part);
    return found != parts_.end() && found->second.link->is_open() ? found->second.link.get() : nullptr;
}

io::Link* PartLinks::to(std::string_view name) const {
    const auto part = by_name_.find(name);
    return part == by_name_.end() ? nullptr : to(part->second);
}

std::uint64_t PartLinks::messages_of(InstanceId part) const {
    const auto found = parts_.find(part);
    return found == parts_.end() ? 0 : found->second.messages;
}

io::Task<void> PartLinks::receive(PartLinks* self, InstanceId part, std::shared_ptr<io::Link> link) {
    for (;;) {
        Result<io::Link::Message> message = co_await link->receive();
        const auto found = self->parts_.find(part);
        if (found == self->parts_.end() || found->second.link != link) co_return;  // of an earlier life
        if (!message) break;
        ++found->second.messages;
        self->observer_.part_said(part, std::move(message->body));
    }
    self->observer_.part_lost(part);
}

}  // namespace havn::supervisor
