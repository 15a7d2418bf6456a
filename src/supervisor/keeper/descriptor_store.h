// The descriptors a supervisor must not lose: the lock, listening sockets, log pipes, its ends of the links.
//
// Each has a name and is also deposited with the keeper, which hands all of them to the next supervisor:
//   supervisor → keeper   {"type":"keep","name":S} + one descriptor   {"type":"drop","name":S}
//                         {"type":"started"}   once it is in charge
//   keeper → supervisor   {"type":"kept","names":[…]} + as many descriptors, repeated;
//                         {"type":"exits","exits":[[pid,status],…]}: what ended while there was no
//                         supervisor; then {"type":"begin"}; {"type":"stop"} when the keeper was told to end
//                         meanwhile
//                         {"type":"not_kept","name":S,"why":S}: it has no room; the next supervisor misses it
//                         {"type":"exited","pid":N,"status":N}: the end of a process an earlier supervisor
//                         had started, which is the keeper's child now; status as of wait(2)
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "io/fd.h"
#include "io/link.h"

namespace havn::supervisor {

class DescriptorStore {
  public:
    void add_kept(const std::string& name, io::Fd fd) { held_.insert_or_assign(name, std::move(fd)); }
    void set_keeper(io::Link* keeper) { keeper_ = keeper; }

    // Takes a duplicate of `fd`. On an error nothing is kept.
    Result<> keep(const std::string& name, int fd);
    // The kept one itself, which stays the store's; -1 when there is none of that name.
    int borrow(const std::string& name) const;
    void drop(const std::string& name);
    bool holds(const std::string& name) const { return held_.contains(name); }
    // A duplicate for whoever uses it; Error::not_found when there is none of that name.
    Result<io::Fd> duplicate(const std::string& name) const;
    const std::map<std::string, io::Fd>& all() const { return held_; }

  private:
    std::map<std::string, io::Fd> held_;
    io::Link* keeper_ = nullptr;
};

}  // namespace havn::supervisor
