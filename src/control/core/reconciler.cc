#include "control/core/reconciler.h"

#include <algorithm>

#include "base/assert.h"

namespace havn::control {
namespace {

Error nothing_applied() {
    return {Error::Kind::not_found, "nothing has been applied yet", "type `havn up` in the project's folder"};
}

Error waited_too_long() {
    return {Error::Kind::unavailable, "another change takes too long to be accepted",
            "try again in a moment; `havn logs control` shows what it waits for"};
}

// What the parts call a configuration: it grows with every revision of any application.
std::uint64_t number_of(const std::vector<Application>& applications) {
    std::uint64_t number = 0;
    for (const Application& application : applications) number += application.revision.number;
    return number;
}

// Where the supervisor looks for who wrote what it is asked to run.
Submission whereabouts(const Submission& source) {
    return {.app = source.app, .manifest = {}, .file = source.file, .directory = source.directory};
}

}  // namespace

const Reconciler::Row Reconciler::table[] = {
    // while                 done                    refused                          no answer
    {State::placing, &Reconciler::draft, &Reconciler::refuse, nullptr},
    {State::drafting, &Reconciler::ask, &Reconciler::refuse, nullptr},
    {State::asking, &Reconciler::commit, &Reconciler::place_again, &Reconciler::refuse_and_restore},
    {State::committing, &Reconciler::take_over, &Reconciler::refuse_and_restore, nullptr},
    {State::restoring, &Reconciler::go_on, &Reconciler::go_on_and_restore_later, &Reconciler::restore_later},
};

void Reconciler::on(State state, Answer answer, const Error& cause, Time now, Effects& effects) {
    HAVN_ASSERT(state_ == state, "an effect ends in the state that asked for it");
    const Row* row = std::ranges::find(table, state, &Row::state);
    const Action action = answer == Answer::accepted  ? row->done
                          : answer == Answer::refused ? row->refused
                                                      : row->unknown;
    HAVN_ASSERT(action, "only the supervisor's answer may be unknown");
    (this->*action)(cause, now, effects);
}

Result<> Reconciler::start(std::vector<Revision> current, ScaleTable scales, Effects& effects) {
    if (current.empty()) return {};
    for (Revision& revision : current) {
        scales.end_for(revision.source.app, revision.source.manifest);
        const std::string app = revision.source.app;
        revisions_.emplace(app, std::move(revision));
    }
    scales_ = std::move(scales);
    Result<Compiled> compiled = compile_with(revisions_.begin()->second, scales_);
    if (!compiled) return std::unexpected(compiled.error());
    compiled_ = std::move(*compiled);
    effects.push_back(Announce{*compiled_});
    ask_to_restore(effects);
    return {};
}

Ticket Reconciler::submit(Change change, Time now, Effects& effects) {
    const Ticket ticket = ++last_ticket_;
    line_.push_back({ticket, std::move(change), now + wait_max});
    if (state_ == State::idle) begin_next(effects);
    return ticket;
}

void Reconciler::placed(Result<Placement> chosen, Time now, Effects& effects) {
    if (!chosen) return on(State::placing, Answer::refused, chosen.error(), now, effects);
    Placement& placement = running_->draft->placement;
    for (const auto& [service, address] : chosen->service_addresses) {
        running_->new_addresses.push_back(address);
        placement.service_addresses[service] = address;
    }
    if (placement.broker_password.empty()) placement.broker_password = chosen->broker_password;
    on(State::placing, Answer::accepted, {}, now, effects);
}

void Reconciler::drafted(Result<std::string> applied_at, Time now, Effects& effects) {
    running_->is_drafted = true;  // perhaps in part
    if (!applied_at) return on(State::drafting, Answer::refused, applied_at.error(), now, effects);
    running_->draft->applied_at = std::move(*applied_at);
    on(State::drafting, Answer::accepted, {}, now, effects);
}

void Reconciler::answered(std::uint64_t question, Answer answer, Error cause, Time now, Effects& effects) {
    if (question != last_question_) return;
    if (state_ != State::asking && state_ != State::restoring) return;
    if (answer == Answer::accepted) restore_at_ = Time::max();  // it holds exactly this
    on(state_, answer, cause, now, effects);
}

void Reconciler::committed(Result<> done, Time now, Effects& effects) {
    on(State::committing, done ? Answer::accepted : Answer::refused, done ? Error{} : done.error(), now,
       effects);
}

void Reconciler::tick(Time now, Effects& effects) {
    while (!line_.empty() && line_.front().deadline <= now) {
        effects.push_back(Reply{line_.front().ticket, std::unexpected(waited_too_long())});
        line_.pop_front();
    }
    const bool may_ask = state_ == State::idle || state_ == State::restoring;
    if (may_ask && restore_at_ <= now) ask_to_restore(effects);
}

// All wait equally long, so whoever came first is the first to go.
Time Reconciler::deadline() const {
    const bool may_ask = state_ == State::idle || state_ == State::restoring;
    const Time restore = may_ask ? restore_at_ : Time::max();
    return line_.empty() ? restore : std::min(restore, line_.front().deadline);
}

void Reconciler::begin_next(Effects& effects) {
    while (state_ == State::idle && !line_.empty()) {
        running_.emplace(line_.front().ticket, std::move(line_.front().change));
        line_.pop_front();
        effects.push_back(Begin{running_->ticket});
        if (std::holds_alternative<ApplyChange>(running_->change)) {
            begin_apply(effects);
        } else {
            begin_scale(effects);
        }
    }
}

void Reconciler::begin_apply(Effects& effects) {
    const Submission& source = std::get<ApplyChange>(running_->change).submission;
    const Revision* before = current(source.app);
    running_->outcome.plan = plan(source.app, source.manifest);
    running_->outcome.revision = before ? before->number : 0;
    running_->scales = scales_;
    running_->scales.end_for(source.app, source.manifest);
    place(effects);
}

// A service keeps the address it has.
void Reconciler::place(Effects& effects) {
    const Submission& source = std::get<ApplyChange>(running_->change).submission;
    const Revision* before = current(source.app);
    Revision& draft = running_->draft.emplace();
    draft.number = before ? before->number + 1 : 1;
    draft.source = source;
    ChoosePlacement wanted;
    if (before) draft.placement.broker_password = before->placement.broker_password;
    for (const manifest::Service& service : source.manifest.services) {
        const std::string* known = nullptr;
        if (before) {
            const auto found = before->placement.service_addresses.find(service.name);
            if (found != before->placement.service_addresses.end()) known = &found->second;
        }
        if (known) {
            draft.placement.service_addresses[service.name] = *known;
        } else {
            wanted.services.push_back(service.name);
        }
    }
    wanted.password = draft.placement.broker_password.empty();
    running_->new_addresses.clear();
    ++running_->placements;
    state_ = State::placing;
    effects.push_back(std::move(wanted));
}

void Reconciler::begin_scale(Effects& effects) {
    const ScaleChange& change = std::get<ScaleChange>(running_->change);
    const Revision* revision = current(change.app);
    if (!revision || !compiled_) return finish(std::unexpected(nothing_applied()), effects);
    const manifest::Manifest& manifest = revision->source.manifest;
    if (Result<> known = check_names(change.counts, manifest); !known) {
        return finish(std::unexpected(known.error()), effects);
    }
    running_->scales = scales_;
    running_->scales.set(change.app, change.counts, manifest);
    const std::vector<ScaleTable::Scaled> scaled = running_->scales.holding(change.app, manifest);
    running_->outcome.plan = manifest::diff(with_counts(manifest, scales_.holding(change.app, manifest)),
                                            with_counts(manifest, scaled));
    running_->outcome.revision = revision->number;
    running_->outcome.changed = running_->scales != scales_;
    if (!running_->outcome.changed) return finish(running_->outcome, effects);
    Result<Compiled> compiled = compile_with(*revision, running_->scales);
    if (!compiled) return finish(std::unexpected(compiled.error()), effects);
    running_->compiled = std::move(*compiled);
    ask({}, {}, effects);
}

// All applications as they would be with this revision of one of them.
Result<Compiled> Reconciler::compile_with(const Revision& revision, const ScaleTable& scales) const {
    std::vector<Application> applications;
    const auto add = [&](const Revision& one) {
        applications.push_back({one, scales.holding(one.source.app, one.source.manifest)});
    };
    bool added = false;
    for (const auto& [app, other] : revisions_) {
        added = added || app == revision.source.app;
        add(app == revision.source.app ? revision : other);
    }
    if (!added) add(revision);
    return compile(number_of(applications), applications, host_ ? *host_ : settings_of(revision));
}

void Reconciler::draft(const Error&, Time, Effects& effects) {
    const ApplyChange& change = std::get<ApplyChange>(running_->change);
    const Revision& draft = *running_->draft;
    Result<Compiled> compiled = compile_with(draft, running_->scales);
    if (!compiled) return finish(std::unexpected(compiled.error()), effects);
    const Revision* before = current(change.submission.app);
    const bool unchanged = before && compiled_ && before->source.directory == draft.source.directory &&
                           before->source.manifest == draft.source.manifest && same(*compiled_, *compiled);
    if (unchanged && !change.force) return finish(running_->outcome, effects);
    running_->outcome.changed = true;
    running_->outcome.revision = draft.number;
    running_->compiled = std::move(*compiled);
    state_ = State::drafting;
    effects.push_back(WriteDraft{draft, running_->compiled});
}

void Reconciler::ask(const Error&, Time, Effects& effects) {
    const auto* scale = std::get_if<ScaleChange>(&running_->change);
    const Submission& source = scale ? current(scale->app)->source : running_->draft->source;
    state_ = State::asking;
    effects.push_back(AskSupervisor{++last_question_, running_->compiled.supervisor, whereabouts(source)});
}

void Reconciler::commit(const Error&, Time, Effects& effects) {
    Commit commit;
    if (running_->draft) {
        commit.app = running_->draft->source.app;
        commit.number = running_->draft->number;
    }
    if (running_->scales != scales_) commit.scales = running_->scales;
    state_ = State::committing;
    effects.push_back(std::move(commit));
}

void Reconciler::take_over(const Error&, Time, Effects& effects) {
    scales_ = std::move(running_->scales);
    compiled_ = std::move(running_->compiled);
    if (running_->draft) {
        const std::string app = running_->draft->source.app;
        revisions_.insert_or_assign(app, std::move(*running_->draft));
        effects.push_back(Announce{*compiled_});
    }
    finish(running_->outcome, effects);
}

// The end of the change, good or bad; the next one begins.
void Reconciler::finish(Result<Outcome> outcome, Effects& effects) {
    effects.push_back(Reply{running_->ticket, std::move(outcome)});
    running_.reset();
    state_ = State::idle;
    begin_next(effects);
}

void Reconciler::refuse(const Error& cause, Time, Effects& effects) {
    if (running_->is_drafted) {
        effects.push_back(DropDraft{running_->draft->source.app, running_->draft->number});
    }
    finish(std::unexpected(cause), effects);
}

// A port that was free a moment ago may be somebody else's by the time the supervisor opens it.
void Reconciler::place_again(const Error& cause, Time now, Effects& effects) {
    if (running_->placements == placements_max || !took_a_new_address(cause)) {
        return refuse(cause, now, effects);
    }
    effects.push_back(DropDraft{running_->draft->source.app, running_->draft->number});
    running_->is_drafted = false;
    place(effects);
}

bool Reconciler::took_a_new_address(const Error& cause) const {
    return std::ranges::any_of(running_->new_addresses, [&cause](const std::string& address) {
        return cause.message.find(address) != std::string::npos;
    });
}

// The supervisor must not run ahead of what a restart would read.
void Reconciler::refuse_and_restore(const Error& cause, Time, Effects& effects) {
    if (running_->is_drafted) {
        effects.push_back(DropDraft{running_->draft->source.app, running_->draft->number});
    }
    effects.push_back(Reply{running_->ticket, std::unexpected(cause)});
    running_.reset();
    ask_to_restore(effects);
}

void Reconciler::ask_to_restore(Effects& effects) {
    restore_at_ = Time::max();
    if (!compiled_) {  // there was nothing before the change
        state_ = State::idle;
        return begin_next(effects);
    }
    state_ = State::restoring;
    effects.push_back(AskSupervisor{++last_question_, compiled_->supervisor,
                                    whereabouts(revisions_.begin()->second.source)});
}

void Reconciler::go_on(const Error&, Time, Effects& effects) {
    state_ = State::idle;
    begin_next(effects);
}

void Reconciler::restore_later(const Error&, Time now, Effects&) {
    restore_at_ = now + restore_pause;
}

void Reconciler::go_on_and_restore_later(const Error& cause, Time now, Effects& effects) {
    restore_at_ = now + refused_pause;
    go_on(cause, now, effects);
}

const Revision* Reconciler::current(const std::string& app) const {
    const auto found = revisions_.find(app);
    return found == revisions_.end() ? nullptr : &found->second;
}

std::vector<ScaleTable::Scaled> Reconciler::scaled(const std::string& app) const {
    const Revision* revision = current(app);
    return revision ? scales_.holding(app, revision->source.manifest) : std::vector<ScaleTable::Scaled>{};
}

manifest::Plan Reconciler::plan(const std::string& app, const manifest::Manifest& wanted) const {
    const Revision* revision = current(app);
    return manifest::diff(revision ? std::optional(revision->source.manifest) : std::nullopt, wanted);
}

}  // namespace havn::control
