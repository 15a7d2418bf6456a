// The few things the log asks of a file system, so that a test can be a file system that loses what was not
// synced.
//
// Failures keep errno's meaning: Error::unavailable is "no space" and may be tried again; every other one is
// final. A failed sync is final too: the kernel may have dropped the very pages it could not write.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace havn::broker {

class File {
  public:
    virtual ~File() = default;
    virtual Result<> write(std::uint64_t offset, std::string_view data) = 0;  // all of it
    virtual Result<std::size_t> read(std::uint64_t offset,
                                     std::span<char> into) const = 0;  // less at the end
    virtual Result<> sync() = 0;                         // the bytes, and what is needed to find them
    virtual Result<> allocate(std::uint64_t bytes) = 0;  // at least that long, with its blocks
    virtual Result<> truncate(std::uint64_t bytes) = 0;
    virtual Result<std::uint64_t> size() const = 0;
    virtual void will_need(std::uint64_t offset, std::uint64_t bytes) const = 0;  // fetch them; no waiting
};

// One folder. Names carry no '/'. Used from several threads.
class Storage {
  public:
    virtual ~Storage() = default;
    virtual Result<std::unique_ptr<File>> open(const std::string& name, bool create) = 0;
    virtual Result<> rename(const std::string& from, const std::string& to) = 0;
    virtual Result<> remove(const std::string& name) = 0;
    virtual Result<> sync_names() = 0;  // creations, renames and removals up to now
    virtual Result<std::vector<std::string>> list() = 0;
    virtual std::string path(const std::string& name) const = 0;  // for messages
    virtual std::uint64_t free_bytes() const = 0;                 // of the file system; 0: not known
};

// A folder of the real file system; made if it is not there. Locked: two brokers in one folder would destroy
// the log; Error::conflict says that another process has it.
Result<std::unique_ptr<Storage>> open_storage(const std::string& folder);

}  // namespace havn::broker
