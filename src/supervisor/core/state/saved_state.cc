#include "supervisor/core/state/saved_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <set>
#include <stdexcept>
#include <unordered_map>

namespace havn::supervisor {

namespace {

std::uint32_t version_of(const Json& json) {
    if (!json.contains("version")) return 1;
    return integer_at<std::uint32_t>(json, "version", 1);
}

SavedState state_from_json(const Json& json, std::uint32_t version) {
    SavedState saved;
    if (version > 1) saved.base = integer_at<std::uint64_t>(json, "base");
    saved.endpoints_version = integer_at<std::uint64_t>(json, "endpoints_version");
    saved.run = json.at("run").get<std::string>();
    saved.platform = platform_rows_from_json(json.value("platform", Json()));
    saved.programs = specifications_from_json(json.at("programs"), version);
    std::set<InstanceId> ids;
    for (const Json& entry : json.at(version == 1 ? "units" : "instances")) {
        saved.instances.push_back(instance_from_json(entry, saved.programs, version));
        if (!ids.insert(saved.instances.back().id).second) throw std::out_of_range("an id given twice");
    }
    return saved;
}

// A journal's lines, one after the other.
class JournalReader {
  public:
    explicit JournalReader(SavedState& saved) : saved_(saved) {
        for (std::size_t i = 0; i < saved.instances.size(); ++i) places_[saved.instances[i].id] = i;
    }

    void add(const Json& line) {
        if (line.contains("base")) {
            of_this_base_ = integer_at<std::uint64_t>(line, "base") == saved_.base;
        } else if (saved_.base == 0) {
            add_first_version(line);
        } else if (!of_this_base_) {
            return;
        } else if (line.contains("program")) {
            saved_.programs[integer_at<std::uint64_t>(line, "id")] =
                specification_from_json(line.at("program"));
        } else if (line.contains("instance")) {
            add_instance(line.at("instance"));
        } else if (line.contains("gone")) {
            gone_.insert(integer_at<InstanceId>(line, "gone"));
        } else if (line.contains("endpoints_version")) {
            saved_.endpoints_version = integer_at<std::uint64_t>(line, "endpoints_version");
        }
    }

    void finish() {
        std::erase_if(saved_.instances, [this](const Instance& one) { return gone_.contains(one.id); });
    }

  private:
    // A start: of version 1, whose journal had nothing else.
    void add_first_version(const Json& line) {
        const auto found = places_.find(integer_at<InstanceId>(line, "id"));
        if (found == places_.end()) return;
        Instance instance = saved_.instances[found->second];
        instance.life = life_from_json(line, 1);
        instance.restarts = integer_at<std::uint32_t>(line, "restarts");
        instance.since = instance.state_since = wall_time_at(line, "since_ms");
        instance.state = State::starting;
        instance.had_life = true;
        instance.ready_now = false;
        saved_.instances[found->second] = std::move(instance);
    }

    void add_instance(const Json& row) {
        Instance instance = instance_from_json(row, saved_.programs, SavedState::version);
        const auto [place, is_new] = places_.try_emplace(instance.id, saved_.instances.size());
        if (is_new) {
            saved_.instances.push_back(std::move(instance));
        } else {
            saved_.instances[place->second] = std::move(instance);
        }
    }

    SavedState& saved_;
    std::unordered_map<InstanceId, std::size_t> places_;
    std::set<InstanceId> gone_;
    bool of_this_base_ = false;
};

}  // namespace

Result<SavedState> saved_state_from_json(const Json& json) {
    try {
        const std::uint32_t version = json.is_object() ? version_of(json) : 1;
        if (version > SavedState::version) {
            return fail(Error::Kind::invalid,
                        fmt::format("the saved process table is of version {}, of a later Havn", version));
        }
        return state_from_json(json, version);
    } catch (const std::exception& error) {
        return fail(Error::Kind::corrupt, std::string("the saved process table: ") + error.what());
    }
}

void add_journal(SavedState& saved, std::string_view lines) {
    JournalReader reader(saved);
    for (std::size_t end; (end = lines.find('\n')) != std::string_view::npos; lines.remove_prefix(end + 1)) {
        const Result<Json> line = parse_json(lines.substr(0, end));
        if (!line || !line->is_object()) continue;
        try {
            reader.add(*line);
        } catch (const std::exception&) {
            continue;  // cut short by what ended the supervisor, or by a full disk
        }
    }
    reader.finish();
}

}  // namespace havn::supervisor
