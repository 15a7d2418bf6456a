// A folder of files that a simulated crash may take back to what was synced.
//
// A write changes what is read at once. A crash keeps what sync() promised: the content as of the last
// sync_file(), under the names as of the last sync_names(). Of what was written since, the seed decides how
// much survives: any prefix of a file's growth; of a file that was written anew the old content, the new one
// or a part of it; and names as they stood after any of the changes since. A full disk can be injected.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace havn::sim {

class Files {
  public:
    explicit Files(Random& random) : random_(random) {}

    Result<> write(const std::string& name,
                   std::string_view content);  // the whole file, made if it is not there
    Result<> append(const std::string& name, std::string_view content);
    Result<> sync_file(const std::string& name);
    Result<> sync_names();  // creations, renames and removals up to now
    Result<> rename(const std::string& from, const std::string& to);
    Result<> remove(const std::string& name);

    std::optional<std::string> read(const std::string& name) const;
    std::vector<std::string> list() const;

    void crash();

    void set_full(bool full) { full_ = full; }  // writes and appends fail with Error::unavailable

  private:
    struct Content {
        std::string synced;   // what a crash leaves at least
        std::string written;  // what is read
    };
    using Names = std::map<std::string, std::shared_ptr<Content>>;

    Random& random_;
    Names names_;
    std::vector<Names> unsynced_names_{Names{}};  // the synced state first, then after each change since
    bool full_ = false;
};

}  // namespace havn::sim
