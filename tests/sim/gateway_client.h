// A client of the simulated gateway: sends requests one after the other on one connection, or all at once,
// and reads what comes back. It checks each response: that it belongs to its request, that its bytes are the
// right ones, and that no more come than were asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gateway/core/http1/body.h"
#include "sim/gateway_world.h"
#include "sim/network.h"

namespace havn::sim {

struct ClientPlan {
    std::size_t requests = 1;
    std::uint64_t first_id = 1;
    std::size_t head_bytes = 0;  // of padding
    bool pipelines = false;
    bool jobs = false;      // to the queue, else to the service
    bool bodies = true;     // else GET only
    bool trickles = false;  // sends in small pieces, a while apart
    bool vanishes = false;  // is gone at some moment
    bool never_reads = false;
};

class Client {
  public:
    // The world outlives it.
    Client(World& world, const ClientPlan& plan);

    // All it has asked for was answered, or its connection is over.
    bool settled() const { return ended_ || answered_.size() == plan_.requests; }
    bool honest() const { return !plan_.vanishes && !plan_.never_reads; }
    const std::vector<unsigned>& answered() const { return answered_; }  // statuses, in order
    std::string story() const;
    void close();

  private:
    Random& random() { return world_.scheduler().random(); }
    void add_request();
    void move();
    void send();
    void receive();
    void read();
    bool read_head();
    void end_response();
    void wrong(const std::string& what);
    std::uint64_t expected() const { return plan_.first_id + answered_.size(); }

    World& world_;
    ClientPlan plan_;
    End& end_;  // the network's
    std::vector<http1::Method> methods_;
    std::size_t asked_ = 0;
    std::string out_, in_;
    std::size_t may_send_ = SIZE_MAX;  // trickling: so much now
    bool pausing_ = false;
    std::vector<unsigned> answered_;
    bool in_body_ = false;
    unsigned status_ = 0;
    std::uint64_t size_ = 0;  // of the whole body, as the instance said
    bool from_instance_ = false;
    gateway::BodyDecoder body_;
    std::string received_;
    bool ended_ = false;
};

}  // namespace havn::sim
