// What runs an instance: the seam between the process table and processes, later containers and machines.
//
// A runtime begins and ends lives, and knows what a life is made of: a tree of processes, a container, a
// machine. Nothing above it does. A call returns at once; what comes of it is told to the observer, in any
// later turn or within the call: a start by `life_started`, the end of a life, however it came, by
// `life_ended`, once. The runtime watches for the end itself (the process runtime by a pidfd).
//
// What a supervisor needs to find a life again after it was replaced stands in `Started`, which the process
// table saves: `adopt` takes it over in the next supervisor.
//
// An instance has at most one life at a time. Ids are the table's; a call about an instance without a life
// does nothing, so that a word that crossed an end is harmless.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "supervisor/core/instance.h"

namespace havn::supervisor {

// The descriptors a life is given. They stay the caller's, and need to be open for the call alone.
struct StartPipes {
    int output = -1;     // its standard output
    int errors = -1;     // its standard error; -1: the same
    int link = -1;       // of a part: its end of the link
    int questions = -1;  // of a part: the socket it answers HTTP + JSON on
};

struct Usage {
    std::uint64_t memory_bytes = 0;  // resident, of all of it
    milliseconds cpu_time{0};        // of its living processes
    std::size_t processes = 0;
};

class RuntimeObserver {
  public:
    virtual void life_started(InstanceId instance, const Started& started) = 0;
    // `error`: why the life never began, or a better word for its end than `exit`; mostly empty.
    virtual void life_ended(InstanceId instance, const Exit& exit, const std::string& error) = 0;
    // What became known later about the end of the instance's last life.
    virtual void exit_known(InstanceId instance, const Exit& exit) = 0;

  protected:
    ~RuntimeObserver() = default;
};

class Runtime {
  public:
    virtual ~Runtime() = default;

    // Begins a life. An error says why it cannot, and nothing has begun.
    virtual Result<> start(const Instance& instance, const StartPipes& pipes) = 0;

    // Asks the life to end in its own way. When its time is over the table asks for `kill`.
    virtual void terminate(InstanceId instance) = 0;
    // Ends all of it, now; until the end is told the table asks again.
    virtual void kill(InstanceId instance) = 0;

    // Takes over the life that an earlier supervisor had begun, by what was saved. False when it is over.
    virtual bool adopt(const Instance& instance) = 0;
    // The instance is no more, and its address free for others.
    virtual void forget(InstanceId instance) = 0;
    // Ends what an earlier supervisor began and could not write down: all but the lives with these handles.
    virtual void end_unknown(const std::set<std::string>& known_handles) = 0;

    // Why the one who answers at the instance's address is not this instance; nothing when it is.
    virtual std::optional<std::string> impostor(InstanceId instance) = 0;
    // For a life whose address refuses: where it answers instead, if somebody looked; empty when not known.
    virtual std::string answers_elsewhere(InstanceId instance) = 0;

    // Nothing for an instance without a life.
    virtual std::optional<Usage> usage(InstanceId instance) = 0;
};

}  // namespace havn::supervisor
