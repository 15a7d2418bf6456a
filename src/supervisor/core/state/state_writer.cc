#include "supervisor/core/state/state_writer.h"

#include <fmt/format.h>

#include <set>

#include "supervisor/core/state/instance_json.h"
#include "supervisor/core/state/saved_state.h"

namespace havn::supervisor {

namespace {

std::string specification_text(std::uint64_t id, const Program& program) {
    return fmt::format(R"({{"id":{},"program":{}}})", id, json_text(to_json(program)));
}

}  // namespace

bool StateWriter::renew(const Instance& instance, std::string& lines) {
    const auto [entry, is_new] = rows_.try_emplace(instance.id);
    Row& row = entry->second;
    const InstanceFacts& facts = instance;
    if (!is_new && row.facts == facts) return false;
    Specification& specification = specifications_[instance.program.get()];
    const bool is_known = specification.program != nullptr;
    if (!is_known) specification = {next_specification_++, instance.program};
    if (!is_known || incomplete_) {
        lines += specification_text(specification.id, *instance.program) + "\n";
    }
    ++rows_encoded_;
    row = {facts, json_text(to_json(instance, specification.id))};
    return true;
}

// What no instance has any more.
void StateWriter::forget_unused(const ProcessTable& table) {
    std::erase_if(rows_, [&table](const auto& row) { return !table.find(row.first); });
    std::set<const Program*> used;
    for (const auto& [id, instance] : table.instances()) used.insert(instance.program.get());
    std::erase_if(specifications_, [&used](const auto& entry) { return !used.contains(entry.first); });
}

std::string StateWriter::base(const ProcessTable& table, const PlatformRows& platform) {
    incomplete_ = true;
    endpoints_version_ = table.endpoints().version;
    forget_unused(table);
    std::string instances, programs, unused;
    for (const auto& [id, instance] : table.instances()) {
        renew(instance, unused);
        if (!instances.empty()) instances += ',';
        instances += rows_.at(id).text;
    }
    for (const auto& [program, specification] : specifications_) {
        if (!programs.empty()) programs += ',';
        programs += specification_text(specification.id, *program);
    }
    return fmt::format(R"({{"version":{},"base":{},"endpoints_version":{},"run":{},"platform":{},)"
                       R"("programs":[{}],"instances":[{}]}})",
                       SavedState::version, base_ + 1, endpoints_version_, Json(run_).dump(),
                       to_json(platform).dump(), programs, instances);
}

void StateWriter::base_is_written() {
    ++base_;
    incomplete_ = false;
}

std::string StateWriter::journal_head() const {
    return fmt::format("{{\"version\":{},\"base\":{}}}\n", SavedState::version, base_);
}

std::string StateWriter::started(const Instance& instance) {
    std::string lines;
    if (renew(instance, lines)) lines += fmt::format("{{\"instance\":{}}}\n", rows_.at(instance.id).text);
    return lines;
}

std::string StateWriter::changes(const ProcessTable& table, const Touched& touched) {
    std::string lines;
    for (const InstanceId id : touched.gone) {
        if (rows_.erase(id) > 0) lines += fmt::format("{{\"gone\":{}}}\n", id);
    }
    for (const InstanceId id : touched.instances) {
        if (const Instance* const instance = table.find(id)) lines += started(*instance);
    }
    if (endpoints_version_ != table.endpoints().version) {
        endpoints_version_ = table.endpoints().version;
        lines += fmt::format("{{\"endpoints_version\":{}}}\n", endpoints_version_);
    }
    return lines;
}

}  // namespace havn::supervisor
