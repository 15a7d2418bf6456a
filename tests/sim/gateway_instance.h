// An instance of the simulated service: reads requests of HTTP/1 and answers them, as it should or in any way
// it should not. A healthy one answers each request well, a little later; it may close a connection that
// waits for a request whenever it likes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/core/http1/body.h"
#include "sim/network.h"
#include "sim/scheduler.h"

namespace havn::sim {

struct Ledger;

class Instance {
  public:
    // How a connection begins.
    enum class Welcome : std::uint8_t { accept, refuse, ignore };

    // Scheduler and ledger outlive it.
    Instance(Scheduler& scheduler, Ledger& ledger, bool healthy);
    ~Instance();

    Welcome welcome();
    void accept(End& end);  // the network owns the end

  private:
    class Served;

    Scheduler& scheduler_;
    Ledger& ledger_;
    bool healthy_;
    std::vector<std::unique_ptr<Served>> served_;
};

}  // namespace havn::sim
