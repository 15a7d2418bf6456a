// The sockets the broker accepts on: those the supervisor names, no others.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/shell/server.h"
#include "contract/link.h"
#include "io/net.h"

namespace havn::broker {

class Listeners {
  public:
    Listeners(io::Loop& loop, Server& server) : loop_(loop), server_(server) {}

    // The whole set, with a descriptor for each entry. What is not in it any more is closed, what is already
    // there stays.
    Result<> replace(const link::Listeners& listeners, std::vector<io::Fd> descriptors);
    void close();

  private:
    using AcceptorPtr = std::shared_ptr<io::Acceptor>;
    static io::Task<void> accept(AcceptorPtr acceptor, Server* server);

    io::Loop& loop_;
    Server& server_;
    std::map<std::string, AcceptorPtr> acceptors_;  // by name and address
};

}  // namespace havn::broker
