#include "broker/log/segment.h"

#include <fmt/format.h>

#include <charconv>

#include "base/assert.h"

namespace havn::broker {

std::string SegmentName::file() const {
    return fmt::format("{:010}-{:08x}.log", number, salt);
}

std::optional<SegmentName> SegmentName::parse(std::string_view file) {
    SegmentName name;
    if (file.size() != 23) return std::nullopt;
    const char* at = file.data();
    const bool read = std::from_chars(at, at + 10, name.number).ec == std::errc{} &&
                      std::from_chars(at + 11, at + 19, name.salt, 16).ec == std::errc{};
    if (!read || name.number == 0 || name.file() != file) return std::nullopt;
    return name;
}

void SegmentList::set(std::vector<std::unique_ptr<Segment>> segments) {
    segments_ = std::move(segments);
    for (const std::unique_ptr<Segment>& segment : segments_) {
        if (segment->live == 0) offer(*segment);
    }
}

Segment& SegmentList::begin(SegmentName name) {
    HAVN_ASSERT(segments_.empty() || segments_.back()->name.number < name.number,
                "segments are begun in the order of their numbers");
    segments_.push_back(std::make_unique<Segment>());
    segments_.back()->name = name;
    return *segments_.back();
}

Segment* SegmentList::find(std::uint32_t number) const {
    const auto found =
        std::ranges::lower_bound(segments_, number, {}, [](const auto& s) { return s->name.number; });
    return found != segments_.end() && (*found)->name.number == number ? found->get() : nullptr;
}

bool SegmentList::settle(DeliveryId delivery, std::uint32_t body_bytes) {
    // Most of what is settled was published a moment ago.
    Segment* const segment = delivery.segment == current().name.number ? &current() : find(delivery.segment);
    if (!segment || delivery.ordinal >= segment->deliveries) return false;
    if (!segment->settle(delivery.ordinal, body_bytes)) return false;
    if (segment->live == 0 && segment->sealed) offer(*segment);
    return true;
}

void SegmentList::seal_current(std::uint32_t end) {
    Segment& segment = current();
    segment.sealed = true;
    segment.end = end;
    segment.sealed_at = ticks_;
    if (segment.live == 0) offer(segment);
}

void SegmentList::remove(std::uint32_t number) {
    std::erase_if(segments_, [&](const auto& segment) { return segment->name.number == number; });
}

}  // namespace havn::broker
