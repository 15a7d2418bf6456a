#include "supervisor/logs/instance_logs.h"

#include <string_view>

#include "io/file.h"
#include "supervisor/logs/log_descriptors.h"

namespace havn::supervisor {

namespace {

constexpr std::string_view output_prefix = "log|";
constexpr std::string_view errors_prefix = "log-stderr|";

std::string label_of(const std::string& app, const std::string& name, std::uint32_t number, Role role) {
    if (role == Role::platform) return name;
    return shown_name(app, name) + "." + std::to_string(number);
}

std::string label_of(const Instance& instance) {
    return label_of(instance.app, instance.name, instance.number, instance.role);
}

std::string stored(std::string_view prefix, const std::string& label) {
    return std::string(prefix) + label;
}

bool same(const io::RotatingFile::Limits& a, const io::RotatingFile::Limits& b) {
    return a.bytes == b.bytes && a.backups == b.backups;
}

}  // namespace

// The pipe that is there, or that the keeper kept, or a new one.
Result<int> InstanceLogs::pipe_of(const std::string& stored_as) {
    if (store_.holds(stored_as)) return store_.borrow(stored_as);
    Result<io::Fd> made = make_log_pipe();
    if (!made) return std::unexpected(made.error());
    if (Result<> kept = store_.keep(stored_as, made->get()); !kept) return std::unexpected(kept.error());
    return store_.borrow(stored_as);
}

Result<> InstanceLogs::open(const Instance& instance) {
    const std::string label = label_of(instance);
    const io::RotatingFile::Limits limits{instance.program->log_bytes_max, instance.program->log_backups};
    const auto found = logs_.find(label);
    const bool known = found != logs_.end();
    if (known && !found->second.closing && same(found->second.limits, limits)) return {};
    const bool is_part = instance.role == Role::platform;
    Result<int> output = pipe_of(stored(output_prefix, label));
    if (!output) return std::unexpected(output.error());
    std::vector<LogInput> inputs{{*output, is_part ? "" : "stdout"}};
    std::vector<int> pipes{*output};
    if (!is_part) {
        Result<int> errors = pipe_of(stored(errors_prefix, label));
        if (!errors) return std::unexpected(errors.error());
        inputs.push_back({*errors, "stderr"});
        pipes.push_back(*errors);
    }
    if (!instance.app.empty()) {
        if (Result<> made = io::make_folder("logs/" + instance.app, 0750); !made) return made;
    }
    // Whoever reads the same pipes counts on where the one before stopped.
    auto marks = known ? found->second.marks : std::make_shared<LogMarks>(std::move(pipes));
    logs_[label] = {limits, marks, false};
    writer_.open(label, {label, "logs/" + label + ".log", limits, std::move(inputs)}, std::move(marks));
    return {};
}

Result<InstanceLogs::Ends> InstanceLogs::ends(const Instance& instance) const {
    const std::string label = label_of(instance);
    Result<io::Fd> output = open_write_end(store_.borrow(stored(output_prefix, label)));
    if (!output) return std::unexpected(output.error());
    if (instance.role == Role::platform) return Ends{std::move(*output), io::Fd()};
    Result<io::Fd> errors = open_write_end(store_.borrow(stored(errors_prefix, label)));
    if (!errors) return std::unexpected(errors.error());
    return Ends{std::move(*output), std::move(*errors)};
}

// Of a program; a part of the platform says itself what happens to it.
InstanceLogs::Log* InstanceLogs::log_of(const Instance& instance) {
    const auto log = logs_.find(label_of(instance));
    return instance.role != Role::platform && log != logs_.end() ? &log->second : nullptr;
}

LogMarks::Ticket InstanceLogs::before_start(const Instance& instance) {
    Log* const log = log_of(instance);
    return log ? log->marks->note(std::nullopt) : 0;
}

void InstanceLogs::started(const Instance& instance, LogMarks::Ticket ticket, std::string text) {
    Log* const log = log_of(instance);
    if (!log || ticket == 0) return;
    log->marks->set_text(ticket, std::move(text));
    writer_.marks_changed(label_of(instance));
}

void InstanceLogs::ended(const Instance& instance, const std::string& text) {
    Log* const log = log_of(instance);
    if (!log || log->marks->note(text) == 0) return;
    writer_.marks_changed(label_of(instance));
}

void InstanceLogs::close(const std::string& app, const std::string& name, std::uint32_t number, Role role) {
    const std::string label = label_of(app, name, number, role);
    const auto log = logs_.find(label);
    if (log == logs_.end()) return drop_pipes(label);
    log->second.closing = true;
    log->second.marks->settle_all();
    writer_.close(label, [this, label] { closed(label); });
}

// By now another instance may have the name and number, and its log is open again.
void InstanceLogs::closed(const std::string& label) {
    const auto log = logs_.find(label);
    if (log == logs_.end() || !log->second.closing) return;
    logs_.erase(log);
    drop_pipes(label);
}

void InstanceLogs::settle() {
    for (const auto& [label, log] : logs_) log.marks->settle_all();
}

void InstanceLogs::drop_pipes(const std::string& label) {
    store_.drop(stored(output_prefix, label));
    store_.drop(stored(errors_prefix, label));
}

}  // namespace havn::supervisor
