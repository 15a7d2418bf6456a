#include "supervisor/keeper/descriptor_store.h"

#include <fcntl.h>

#include <tuple>

namespace havn::supervisor {

namespace {

Result<io::Fd> duplicate_of(int fd, const std::string& name) {
    io::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) return fail_errno("duplicate descriptor " + name);
    return copy;
}

}  // namespace

Result<> DescriptorStore::keep(const std::string& name, int fd) {
    Result<io::Fd> copy = duplicate_of(fd, name);
    if (!copy) return std::unexpected(copy.error());
    if (keeper_) {
        Result<> sent = keeper_->send({{"type", "keep"}, {"name", name}}, {fd});
        // Without a keeper this process is about to take its place, with all that is held.
        if (!sent && keeper_->is_open()) return sent;
    }
    held_.insert_or_assign(name, std::move(*copy));
    return {};
}

int DescriptorStore::borrow(const std::string& name) const {
    const auto found = held_.find(name);
    return found == held_.end() ? -1 : found->second.get();
}

void DescriptorStore::drop(const std::string& name) {
    if (held_.erase(name) > 0 && keeper_) std::ignore = keeper_->send({{"type", "drop"}, {"name", name}});
}

Result<io::Fd> DescriptorStore::duplicate(const std::string& name) const {
    const auto found = held_.find(name);
    if (found == held_.end()) return fail(Error::Kind::not_found, "no descriptor is kept as " + name);
    return duplicate_of(found->second.get(), name);
}

}  // namespace havn::supervisor
