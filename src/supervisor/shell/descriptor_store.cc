#include "supervisor/shell/descriptor_store.h"

#include <fcntl.h>

namespace havn::supervisor {

static Result<io::Fd> duplicate_of(int fd, const std::string& name) {
    io::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) return fail_errno("duplicate descriptor " + name);
    return copy;
}

Result<> DescriptorStore::keep(const std::string& name, int fd) {
    Result<io::Fd> copy = duplicate_of(fd, name);
    if (!copy) return std::unexpected(copy.error());
    held_.insert_or_assign(name, std::move(*copy));
    if (keeper_) keeper_->send({{"type", "keep"}, {"name", name}}, {fd});
    return {};
}

void DescriptorStore::drop(const std::string& name) {
    if (held_.erase(name) > 0 && keeper_) keeper_->send({{"type", "drop"}, {"name", name}});
}

Result<io::Fd> DescriptorStore::duplicate(const std::string& name) const {
    const auto found = held_.find(name);
    if (found == held_.end()) return fail(Error::Kind::not_found, "no descriptor is kept as " + name);
    return duplicate_of(found->second.get(), name);
}

}  // namespace havn::supervisor
