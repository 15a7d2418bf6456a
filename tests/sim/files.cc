#include "sim/files.h"

namespace havn::sim {

Result<> Files::write(const std::string& name, std::string_view content) {
    if (full_) return fail(Error::Kind::unavailable, "no space left on the simulated disk");
    std::shared_ptr<Content>& file = names_[name];
    if (!file) {
        file = std::make_shared<Content>();
        unsynced_names_.push_back(names_);
    }
    file->written = content;
    return {};
}

Result<> Files::append(const std::string& name, std::string_view content) {
    const std::optional<std::string> before = read(name);
    return write(name, before.value_or("") + std::string(content));
}

Result<> Files::sync_file(const std::string& name) {
    const auto found = names_.find(name);
    if (found == names_.end()) return fail(Error::Kind::not_found, "no file '" + name + "' to sync");
    found->second->synced = found->second->written;
    return {};
}

Result<> Files::sync_names() {
    unsynced_names_.assign(1, names_);
    return {};
}

Result<> Files::rename(const std::string& from, const std::string& to) {
    const auto found = names_.find(from);
    if (found == names_.end()) return fail(Error::Kind::not_found, "no file '" + from + "' to rename");
    const std::shared_ptr<Content> content = found->second;
    names_.erase(found);
    names_[to] = content;
    unsynced_names_.push_back(names_);
    return {};
}

Result<> Files::remove(const std::string& name) {
    if (names_.erase(name) == 0) return fail(Error::Kind::not_found, "no file '" + name + "' to remove");
    unsynced_names_.push_back(names_);
    return {};
}

std::optional<std::string> Files::read(const std::string& name) const {
    const auto found = names_.find(name);
    if (found == names_.end()) return std::nullopt;
    return found->second->written;
}

std::vector<std::string> Files::list() const {
    std::vector<std::string> names;
    for (const auto& [name, content] : names_) names.push_back(name);
    return names;
}

void Files::crash() {
    names_ = unsynced_names_[random_.below(unsynced_names_.size())];
    for (auto& [name, content] : names_) {
        if (content->written.starts_with(content->synced)) {
            const std::size_t grown = content->written.size() - content->synced.size();
            content->written.resize(content->synced.size() + random_.between(0, grown));
        } else {  // written anew: the old content, the new one, or as much of it as had reached the disk
            switch (random_.below(3)) {
                case 0:
                    content->written = content->synced;
                    break;
                case 1:
                    content->written.resize(random_.between(0, content->written.size()));
                    break;
                default:
                    break;
            }
        }
        content->synced = content->written;
    }
    unsynced_names_.assign(1, names_);
}

}  // namespace havn::sim
