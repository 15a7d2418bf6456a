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

}  // namespace

StateFiles::StateFiles(const Context& context, std::string run, std::uint64_t base,
                       const PlatformRows& platform)
    : context_(context),
      platform_(platform),
      state_(*this, std::move(run), base),
      revision_(static_cast<std::uint64_t>(platform.supervisor.since.time_since_epoch() / milliseconds(1))) {}

void StateFiles::write_base() {
    report(state_.write_base(context_.table, platform_));
}

Result<> StateFiles::replace_base(std::string_view text) {
    return write_own_file(state_file, text);
}

Result<> StateFiles::empty_journal() {
    Result<io::Fd> journal = append_to_own_file(journal_file);
    if (!journal) return std::unexpected(journal.error());
    journal_ = std::move(*journal);
    if (::ftruncate(journal_.get(), 0) != 0) return fail_errno("empty " + std::string(journal_file));
    ::unlink(first_journal_file);
    return {};
}

Result<> StateFiles::append_to_journal(std::string_view lines) {
    if (!journal_) return fail(Error::Kind::internal, std::string(journal_file) + " is not open");
    return io::write_all(journal_.get(), lines);
}

// A full disk must not stop the supervisor.
void StateFiles::report(const Result<>& written) {
    if (written) return;
    context_.log.say(log::Level::error, "the process table is not written down: " + written.error().message);
}

void StateFiles::started(const Instance& instance) {
    report(state_.started(instance));
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
    const std::uint64_t encoded = state_.rows_encoded();
    const Touched touched = context_.table.take_touched();
    report(state_.write(context_.table, touched, platform_));
    tell_control(touched);
    const std::uint64_t rows = state_.rows_encoded() - encoded;
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
