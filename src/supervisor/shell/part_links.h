// The supervisor's ends of the links to control, gateway and broker (messages: contract/link.h).
//
// A link belongs to one life of a part. A part without its link is of no use: when one closes and the part
// lives on, it is killed. Each end is also kept by the keeper, under the name of its instance.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "contract/link.h"
#include "io/link.h"
#include "io/loop.h"
#include "supervisor/core/process_table.h"
#include "supervisor/keeper/descriptor_store.h"

namespace havn::supervisor {

class PartLinksObserver {
  public:
    virtual void part_said(InstanceId part, Json message) = 0;
    virtual void part_lost(InstanceId part) = 0;  // its link closed

  protected:
    ~PartLinksObserver() = default;
};

class PartLinks {
  public:
    // All of them outlive this object.
    PartLinks(io::Loop& loop, DescriptorStore& store, PartLinksObserver& observer)
        : loop_(loop), store_(store), observer_(observer) {}

    // A pair for a part that is about to start: the end to give to it. Ours is kept, and connected later.
    Result<io::Fd> prepare(InstanceId part);
    // Error::not_found when no end of the part's link is kept.
    Result<> connect(InstanceId part, const std::string& name);
    void close(InstanceId part);

    // Null when the part has no open link.
    io::Link* to(std::string_view name) const;
    io::Link* to(InstanceId part) const;
    // How many messages a part sent so far, whatever they said.
    std::uint64_t messages_of(InstanceId part) const;

  private:
    struct Part {
        std::shared_ptr<io::Link> link;
        std::uint64_t messages = 0;
    };
    static io::Task<void> receive(PartLinks* self, InstanceId part, std::shared_ptr<io::Link> link);

    io::Loop& loop_;
    DescriptorStore& store_;
    PartLinksObserver& observer_;
    std::map<InstanceId, Part> parts_;
    std::map<std::string, InstanceId, std::less<>> by_name_;  // the latest life of each
};

}  // namespace havn::supervisor
