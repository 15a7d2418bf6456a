#include "supervisor/shell/state_files.h"

#include <unistd.h>

#include <algorithm>

#include "io/clock.h"
#include "io/file.h"
#include "supervisor/keeper/own_file.h"
#include "supervisor/shell/data_folder.h"

namespace havn::supervisor {

namespace {

constexpr Duration write_distance = milliseconds(20);
constexpr Duration write_distance_per_row = std::chrono::microseconds(100);
constexpr std::size_t journal_bytes_min = 256u << 10;

}  // namespace

StateFiles::StateFiles(const Context& context, std::string run, std::uint64_t base,
                       const PlatformRows& platform)
    : context_(context),
      platform_(platform),
      writer_(std::move(run), base),
      revision_(static_cast<std::uint64_t>(platform.supervisor.since.time_since_epoch() / milliseconds(1))) {}

void StateFiles::write_base() {
    const std::string text = writer_.base(context_.table, platform_);
    if (Result<> written = write_own_file(state_file, text); !written) {
        base_due_ = true;
        return context_.log.say(log::Level::error,
                                "the process table is not written down: " + written.error().message);
    }
    base_due_ = false;
    base_bytes_ = text.size();
    // What the journal held is in the base; until it is emptied, the base it names says that it is older.
    Result<io::Fd> journal = append_to_own_file(journal_file);
    if (!journal || ::ftruncate(journal->get(), 0) != 0) {
        base_due_ = true;
        return context_.log.say(
            log::Level::error, (journal ? fail_errno("empty the journal").error() : journal.error()).message);
    }
    journal_ = std::move(*journal);
    journal_bytes_ = 0;
    ::unlink(first_journal_file);
    append(writer_.journal_head());
}

void StateFiles::append(const std::string& lines) {
    if (lines.empty()) return;
    if (!journal_) {
        base_due_ = true;
        return;
    }
    // After a failure half a line may stand at the end.
    const Result<> written = io::write_all(journal_.get(), base_due_ ? "\n" + lines : lines);
    journal_bytes_ += lines.size();
    base_due_ |= journal_bytes_ > std::max(base_bytes_, journal_bytes_min);
    if (written) return;
    base_due_ = true;
    context_.log.say(log::Level::error,
                     "a change of the process table is not written down: " + written.error().message);
}

void StateFiles::started(InstanceId id) {
    if (const Instance* const instance = context_.table.find(id)) append(writer_.started(*instance));
}

void StateFiles::changed() {
    if (std::exchange(change_pending_, true)) return;
    context_.loop.spawn(write_later(this, std::max(Duration(0), next_write_ - io::now())));
}

io::Task<void> StateFiles::write_later(StateFiles* self, Duration pause) {
    co_await io::sleep_for(pause);
    if (self->change_pending_) self->write_now();
}

void StateFiles::write_now() {
    change_pending_ = false;
    if (removed_) return;
    const std::uint64_t encoded = writer_.rows_encoded();
    const Touched touched = context_.table.take_touched();
    if (base_due_) {
        write_base();
    } else {
        append(writer_.changes(context_.table, touched));
    }
    tell_control(touched);
    const std::uint64_t rows = writer_.rows_encoded() - encoded;
    next_write_ = io::now() + write_distance + write_distance_per_row * static_cast<std::int64_t>(rows);
}

void StateFiles::tell_control(const Touched& touched) {
    io::Link* const control = context_.parts.to("control");
    if (!control) {
        whole_due_ = true;
        return;
    }
    if (whole_due_) {
        const Result<> sent = control->send_text(rows_.whole(context_.table, platform_, ++revision_));
        whole_due_ = !sent;
        return;
    }
    const std::optional<std::string> message = rows_.changes(context_.table, touched, revision_ + 1);
    if (!message) return;
    ++revision_;
    if (!control->send_text(*message)) whole_due_ = true;
}

void StateFiles::remove() {
    removed_ = true;
    ::unlink(state_file);
    ::unlink(journal_file);
}

}  // namespace havn::supervisor
