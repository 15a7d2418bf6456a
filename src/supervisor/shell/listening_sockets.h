// The sockets the platform listens on. Opened here, kept for good, handed to the gateway, the broker and
// control at each of their starts: a connection made while a part restarts waits in the kernel's backlog.
//
// A TCP address of the gateway has one SO_REUSEPORT socket per gateway thread, as long as all sockets of a
// part fit one link message; with more addresses than that, those for services get fewer.
#pragma once

#include <string>
#include <vector>

#include "contract/link.h"
#include "contract/supervisor.h"
#include "supervisor/keeper/descriptor_store.h"
#include "supervisor/runtime/platform_accounts.h"

namespace havn::supervisor {

class ListeningSockets {
  public:
    ListeningSockets(DescriptorStore& store, const Accounts& accounts) : store_(store), accounts_(accounts) {}

    // All or nothing: opens what is new (or takes it from what the keeper kept), then closes what is no
    // longer named. On an error (port taken, no permission) everything is as before. True when the set
    // changed.
    Result<bool> change_to(const Desired& desired);

    struct Handover {
        link::Listeners listeners;
        std::vector<io::Fd> sockets;
    };
    Result<Handover> for_part(const std::string& part) const;

    // The socket a part answers HTTP + JSON on, run/PART.sock: made once, and anew where its file is gone.
    // Its owner may connect, and root: for control the user of the platform, for the others control.
    Result<io::Fd> for_questions(const std::string& part);

    // Removes the files of Unix sockets: the platform is down.
    void remove_files();

  private:
    struct Socket {
        std::string stored_as;
        std::string name;
        std::string address;
        std::string part;
        bool operator==(const Socket&) const = default;
    };

    Result<std::vector<Socket>> plan(const Desired& desired) const;
    Result<> open(const Socket& socket, bool shares_port);
    void drop_unnamed();

    DescriptorStore& store_;
    const Accounts& accounts_;
    std::vector<Socket> sockets_;
};

}  // namespace havn::supervisor
