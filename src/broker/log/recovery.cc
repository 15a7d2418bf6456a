#include "broker/log/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/log.h"

namespace havn::broker {
namespace {

struct Gap {
    std::uint32_t begin = 0, end = 0;
};

// The next place at or after `from` where a header checks out; the end of the file if there is none.
std::uint32_t next_header(std::string_view file, std::uint32_t from, std::uint32_t salt) {
    Record record;
    const auto end = static_cast<std::uint32_t>(file.size());
    for (std::uint32_t at = from; at < end && end - at >= record_header_bytes; at += 8) {
        if (check_record(file.substr(at), {salt, at}, record) != RecordCheck::bad_header) return at;
    }
    return end;
}

// Every record that checks out goes to `on_record`, in order, until it returns false; every stretch between
// them to `on_gap`. Returns where it ended.
template <class OnRecord, class OnGap>
std::uint32_t walk(std::string_view file, std::uint32_t salt, OnRecord on_record, OnGap on_gap) {
    const auto end = static_cast<std::uint32_t>(file.size());
    std::uint32_t at = std::min(file_header_bytes, end);
    while (at < end) {
        Record record;
        const RecordCheck check = check_record(file.substr(at), {salt, at}, record);
        std::uint32_t next = end;
        if (check == RecordCheck::ok) {
            next = at + record.size;
            if (!on_record(record)) return next;
        } else {
            if (check == RecordCheck::bad_header) next = next_header(file, at + 8, salt);
            if (check == RecordCheck::bad_payload && record.size <= end - at) next = at + record.size;
            on_gap(Gap{at, next});
        }
        at = next;
    }
    return at;
}

// Where the last segment's records end for us. A gap is what a crash leaves of unsynced writes, and the log
// ends there, unless a mark further on says that the place had been synced: then it was spoilt later, and the
// log goes on.
std::uint32_t find_cut(std::string_view file, const SegmentName& name, bool& sealed) {
    std::vector<Gap> gaps;
    std::uint32_t proven = 0;
    sealed = false;
    const std::uint32_t end = walk(
        file, name.salt,
        [&](const Record& record) {
            if (record.type == RecordType::mark) {
                const std::optional<MarkRecord> mark = parse_mark(record.payload);
                if (mark && mark->segment == name.number && mark->synced <= record.offset) {
                    proven = std::max(proven, mark->synced);
                }
            }
            sealed = record.type == RecordType::seal;
            return !sealed;
        },
        [&](const Gap& gap) { gaps.push_back(gap); });
    for (const Gap& gap : gaps) {
        if (gap.end <= proven) continue;
        sealed = false;
        return std::max(gap.begin, proven);
    }
    return end;
}

// Settled deliveries among those the segment still has.
std::uint32_t count_settled(const Segment& segment) {
    std::uint32_t settled = 0;
    for (std::uint32_t ordinal = 0; ordinal < segment.deliveries; ordinal += 64) {
        if (ordinal / 64 >= segment.settled.size()) break;
        std::uint64_t word = segment.settled[ordinal / 64];
        if (segment.deliveries - ordinal < 64) word &= (1ull << (segment.deliveries - ordinal)) - 1;
        settled += static_cast<std::uint32_t>(std::popcount(word));
    }
    return settled;
}

}  // namespace

Segment* Recovery::find(std::uint32_t number) {
    const auto found =
        std::ranges::lower_bound(segments_, number, {}, [](const auto& s) { return s->name.number; });
    return found != segments_.end() && (*found)->name.number == number ? found->get() : nullptr;
}

void Recovery::report(const Segment& segment, std::uint32_t from, std::uint32_t to, std::string_view why) {
    spoilt_bytes_ += to - from;
    log::error("{}: bytes {} to {} are spoilt ({}); what they held is lost, the rest is kept",
               storage_.path(segment.name.file()), from, to, why);
}

Result<> Recovery::find_segments() {
    Result<std::vector<std::string>> names = storage_.list();
    if (!names) return std::unexpected(names.error());
    std::vector<SegmentName> found;
    for (const std::string& name : *names) {
        if (std::optional<SegmentName> segment = SegmentName::parse(name)) found.push_back(*segment);
    }
    std::ranges::sort(found, {}, [](const SegmentName& name) { return std::pair(name.number, name.salt); });
    for (const SegmentName& name : found) {
        if (name.number == last_number_) {
            log::error("{}: a second segment of that number; it is left alone", storage_.path(name.file()));
            continue;
        }
        last_number_ = name.number;
        auto segment = std::make_unique<Segment>();
        segment->name = name;
        segment->sealed = true;
        segments_.push_back(std::move(segment));
    }
    return {};
}

// A bad sector costs its block, not the segment. A file of which nothing can be read says nothing.
Result<std::string_view> Recovery::load_blocks(const File& file, std::size_t size, const std::string& name) {
    constexpr std::size_t block = 4096;
    bool any = size == 0;
    Result<std::size_t> read = 0;
    for (std::size_t at = 0; at < size; at += block) {
        const std::span<char> into(buffer_.get() + at, std::min(block, size - at));
        read = file.read(at, into);
        any = any || read;
        if (!read) std::ranges::fill(into, '\0');
    }
    if (any) return std::string_view(buffer_.get(), size);
    return fail(Error::Kind::unavailable, storage_.path(name) + ": " + read.error().message,
                "check the disk (dmesg); nothing in the queue's folder was changed");
}

Result<std::string_view> Recovery::load(const Segment& segment) {
    const std::string name = segment.name.file();
    const Result<std::unique_ptr<File>> file = storage_.open(name, false);
    const Result<std::uint64_t> size = file ? (*file)->size() : Result<std::uint64_t>(0);
    if (!file || !size) {
        return fail(Error::Kind::unavailable,
                    "the queue's log cannot be read: " + (file ? size.error() : file.error()).message,
                    "nothing in the queue's folder was changed; remove the cause and start again");
    }
    const std::size_t wanted = std::min<std::uint64_t>(*size, 0xFFFF'FFF0u);  // offsets have 32 bits
    if (wanted > buffer_size_) {
        buffer_.reset();
        buffer_ = std::make_unique_for_overwrite<char[]>(wanted);
        buffer_size_ = wanted;
    }
    const Result<std::size_t> read = (*file)->read(0, {buffer_.get(), wanted});
    if (read) return std::string_view(buffer_.get(), *read);
    return load_blocks(**file, wanted, name);
}

Result<> Recovery::scan() {
    if (Result<> found = find_segments(); !found) return found;
    for (const std::unique_ptr<Segment>& segment : segments_) {
        if (Result<> scanned = scan_segment(*segment, segment == segments_.back()); !scanned) return scanned;
    }
    return {};
}

Result<> Recovery::check_version(const Segment& segment, std::string_view file, bool last) {
    const std::optional<std::uint32_t> version =
        check_file_header(file, segment.name.number, segment.name.salt);
    if (version && (*version == 0 || *version > log_version)) {
        return fail(Error::Kind::conflict,
                    fmt::format("{}: written in version {} of the log, this broker reads 1 to {}",
                                storage_.path(segment.name.file()), *version, log_version),
                    "start the Havn that wrote it; nothing in the queue's folder was changed");
    }
    if (last) last_header_spoilt_ = !version;
    if (!version && !(last && segment.end <= file_header_bytes)) {
        report(segment, 0, file_header_bytes, "the file's header; its name says the same");
    }
    return {};
}

Result<> Recovery::scan_segment(Segment& segment, bool last) {
    const Result<std::string_view> loaded = load(segment);
    if (!loaded) return std::unexpected(loaded.error());
    std::string_view file = *loaded;
    bool sealed = false;
    if (last) {
        segment.end = find_cut(file, segment.name, sealed);
        last_sealed_ = sealed;
        file = file.substr(0, segment.end);
    }
    if (Result<> known = check_version(segment, file, last); !known) return known;
    in_snapshot_ = false;
    segment.end = walk(
        file, segment.name.salt,
        [&](const Record& record) {
            if (!apply(segment, record)) {
                report(segment, record.offset, record.offset + record.size,
                       "a record this version cannot have written");
            }
            sealed = record.type == RecordType::seal;
            return !sealed;
        },
        [&](const Gap& gap) {
            snapshot_holed_ = true;
            report(segment, gap.begin, gap.end, "checksum");
        });
    if (in_snapshot_) {
        snapshot_holed_ = true;
        end_snapshot();
    }
    if (!last && !sealed) {
        log::error("{}: ends at byte {} without its last record; what came after is lost",
                   storage_.path(segment.name.file()), segment.end);
    }
    return {};
}

bool Recovery::apply(Segment& segment, const Record& record) {
    switch (record.type) {
        case RecordType::message_1:
        case RecordType::message:
        case RecordType::moved:
            return apply_message(segment, record);
        case RecordType::attempts:
            return apply_attempts(segment, record.payload);
        case RecordType::settle:
            return apply_settle(segment, record.payload);
        case RecordType::settled_set:
            return apply_settled_set(segment, record.payload);
        case RecordType::mark:
            return parse_mark(record.payload).has_value();
        case RecordType::seal:
            return record.payload.empty();
        default:
            return apply_topology(record);
    }
}

bool Recovery::apply_message(Segment& segment, const Record& record) {
    const std::optional<MessageRecord> message =
        parse_next_message(record, segment.name.number, segment.deliveries);
    if (!message) return false;
    const std::uint64_t weight = Segment::weight_of(message->parts.body.size());
    segment.deliveries = message->first_ordinal + message->queue_count;
    segment.weight += message->queue_count * weight;
    if (message->moved) note_moved(segment, *message, record.offset);
    return true;
}

// Being there settles what it was moved from, if that is still there too.
void Recovery::note_moved(Segment& segment, const MessageRecord& message, std::uint32_t offset) {
    moved_.push_back(
        {message.origin.order, {segment.name.number, message.first_ordinal}, message.queue_count, offset});
    for (std::uint32_t i = 0; i < message.queue_count; ++i) {
        const MovedDelivery delivery = message.moved_delivery(i);
        settle_run_of(segment, {message.origin.segment, delivery.ordinal, 1});
        if (delivery.attempts == 0) continue;
        segment.attempts[message.first_ordinal + i] =
            static_cast<std::uint16_t>(std::min(delivery.attempts, 0xFFFFu));
    }
}

bool Recovery::apply_attempts(Segment& segment, std::string_view payload) {
    const std::optional<std::uint32_t> count = parse_attempts(payload);
    if (!count) return false;
    for (std::uint32_t i = 0; i < *count; ++i) {
        const AttemptsOf of = attempts_of(payload, i);
        Segment* owner = find(of.delivery.segment);
        if (!owner || owner->name.number > segment.name.number) continue;
        if (of.delivery.ordinal >= owner->deliveries) continue;
        segment.note_settles_of(of.delivery.segment);
        owner->attempts[of.delivery.ordinal] = static_cast<std::uint16_t>(std::min(of.attempts, 0xFFFFu));
    }
    return true;
}

void Recovery::settle_run_of(Segment& holder, const Run& run) {
    Segment* segment = find(run.segment);
    if (!segment || run.segment > holder.name.number) return;  // removed long ago
    holder.note_settles_of(run.segment);
    const std::uint64_t end =
        std::min<std::uint64_t>(std::uint64_t{run.first} + run.count, segment->deliveries);
    for (std::uint64_t ordinal = run.first; ordinal < end; ++ordinal) {
        segment->set_settled(static_cast<std::uint32_t>(ordinal));
    }
}

bool Recovery::apply_settle(Segment& segment, std::string_view payload) {
    const std::optional<std::uint32_t> runs = parse_settle(payload);
    if (!runs) return false;
    for (std::uint32_t i = 0; i < *runs; ++i) settle_run_of(segment, settle_run(payload, i));
    return true;
}

bool Recovery::apply_settled_set(Segment& segment, std::string_view payload) {
    const std::optional<SettledSetRecord> set = parse_settled_set(payload);
    if (!set) return false;
    Segment* of = find(set->segment);
    if (!of || set->segment >= segment.name.number) return true;
    segment.note_settles_of(set->segment);
    const std::uint32_t words = std::min(set->words, (of->deliveries + 63) / 64);
    if (of->settled.size() < words) of->settled.resize(words);
    for (std::uint32_t i = 0; i < words; ++i) of->settled[i] |= set->word(i);
    return true;
}

bool Recovery::apply_topology(const Record& record) {
    if (record.type == RecordType::snapshot_begin) {
        snapshot_.clear();
        in_snapshot_ = true;
        snapshot_holed_ = false;
        return true;
    }
    if (record.type == RecordType::snapshot_end) {
        end_snapshot();
        return true;
    }
    Topology& target = in_snapshot_ ? snapshot_ : topology_;
    if (record.type == RecordType::erase) {
        if (const auto found = target.find(record.payload); found != target.end()) target.erase(found);
        return true;
    }
    const std::optional<PutRecord> put = parse_put(record.payload);
    if (!put) return false;
    target.insert_or_assign(std::string(put->key), std::string(put->value));
    return true;
}

// A whole snapshot replaces what came before; one with a hole in it can only add.
void Recovery::end_snapshot() {
    if (!in_snapshot_) return;
    in_snapshot_ = false;
    if (!snapshot_holed_) topology_.clear();
    for (auto& [key, value] : snapshot_) topology_.insert_or_assign(key, std::move(value));
    snapshot_.clear();
}

struct Recovery::Delivering {
    RecoverySink& sink;
    std::vector<Orphan>& orphans;
    std::size_t next_moved = 0;
};

void Recovery::forget_settled_moves() {
    std::erase_if(moved_, [&](const Moved& moved) {
        const Segment* segment = find(moved.at.segment);
        for (std::uint32_t i = 0; i < moved.deliveries; ++i) {
            if (!segment->is_settled(moved.at.ordinal + i)) return false;
        }
        return true;
    });
    std::ranges::sort(moved_, {}, [](const Moved& moved) { return std::pair(moved.order, moved.at); });
}

void Recovery::hand_out(Delivering& to, Segment& segment, const MessageRecord& message,
                        std::uint32_t offset) {
    const auto body = static_cast<std::uint32_t>(message.parts.body.size());
    for (std::uint32_t i = 0; i < message.queue_count; ++i) {
        const DeliveryId delivery{segment.name.number, message.first_ordinal + i};
        if (segment.is_settled(delivery.ordinal)) {
            segment.attempts.erase(delivery.ordinal);
            continue;
        }
        ++segment.live;
        segment.live_weight += Segment::weight_of(body);
        const auto attempts = segment.attempts.find(delivery.ordinal);
        const History history{message.published, attempts == segment.attempts.end() ? 0u : attempts->second};
        if (!to.sink.on_delivery(message.queue(i), delivery, offset, message.parts, history)) {
            to.orphans.push_back({delivery, body});
        }
    }
}

// Those that were published before that one, from where they stand now.
Result<> Recovery::hand_out_moved(Delivering& to, DeliveryId before) {
    for (; to.next_moved < moved_.size() && moved_[to.next_moved].order < before; ++to.next_moved) {
        const Moved& moved = moved_[to.next_moved];
        Segment& segment = *find(moved.at.segment);
        const Result<std::string_view> bytes = reader_.record(segment.name, moved.offset);
        if (!bytes) return std::unexpected(bytes.error());
        Record record;
        const RecordCheck check = check_record(*bytes, {segment.name.salt, moved.offset}, record);
        const std::optional<MessageRecord> message =
            check == RecordCheck::ok ? parse_message(record) : std::nullopt;
        if (!message) {
            return fail(Error::Kind::unavailable, segment.name.file() + ": read twice, and not alike");
        }
        hand_out(to, segment, *message, moved.offset);
    }
    return {};
}

Result<> Recovery::hand_out_segment(Delivering& to, Segment& segment) {
    const Result<std::string_view> file = load(segment);
    if (!file) return std::unexpected(file.error());
    std::uint32_t first_free = 0;
    Result<> done;
    walk(
        file->substr(0, segment.end), segment.name.salt,
        [&](const Record& record) {
            if (!is_message(record.type)) return record.type != RecordType::seal;
            const std::optional<MessageRecord> message =
                parse_next_message(record, segment.name.number, first_free);
            if (!message) return true;
            first_free = message->first_ordinal + message->queue_count;
            if (message->moved) return true;
            done = hand_out_moved(to, {segment.name.number, message->first_ordinal});
            if (done) hand_out(to, segment, *message, record.offset);
            return done.has_value();
        },
        [](const Gap&) {});
    return done;
}

Result<> Recovery::deliver(RecoverySink& sink, std::vector<Orphan>& orphans) {
    forget_settled_moves();
    Delivering to{sink, orphans};
    for (const std::unique_ptr<Segment>& segment : segments_) {
        if (count_settled(*segment) == segment->deliveries) continue;
        if (Result<> done = hand_out_segment(to, *segment); !done) return done;
    }
    if (Result<> done = hand_out_moved(to, {UINT32_MAX, UINT32_MAX}); !done) return done;
    moved_ = {};
    buffer_.reset();
    buffer_size_ = 0;
    return {};
}

Result<> Recovery::cut_tail() {
    if (segments_.empty()) return {};
    Segment& last = *segments_.back();
    const std::string name = last.name.file();
    if (last.end <= file_header_bytes) {  // its first bytes never reached the disk
        segments_.pop_back();
        if (Result<> removed = storage_.remove(name); !removed) return removed;
        return storage_.sync_names();
    }
    Result<std::unique_ptr<File>> file = storage_.open(name, false);
    if (!file) return std::unexpected(file.error());
    if (last_header_spoilt_) {
        ByteBuffer header;
        add_file_header(header, last.name.number, last.name.salt);
        if (Result<> written = (*file)->write(0, header.view()); !written) return written;
    }
    if (!last_sealed_) {
        // In this order a full disk needs no new block: the seal takes the place of what is cut.
        ByteBuffer seal;
        add_bare(seal, {last.name.salt, last.end}, RecordType::seal);
        const Result<> sealed = (*file)->write(last.end, seal.view());
        // A file that ends here may have no room for a seal on a full disk: then what is cut is only gone.
        if (!sealed && sealed.error().kind != Error::Kind::unavailable) return sealed;
        if (sealed) last.end += bare_bytes;
        if (Result<> cut = (*file)->truncate(last.end); !cut) return cut;
    }
    return (*file)->sync();
}

}  // namespace havn::broker
