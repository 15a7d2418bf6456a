// The logs of all instances as the supervisor has them: whose pipes are open, and what is written between
// lives.
//
// It makes the pipes, has the keeper keep them, and passes them to the writer's thread; it never reads or
// writes a log itself. A log belongs to a program and a number, not to an instance: an instance and its
// replacement share it. Paths are logs/NAME.NUMBER.log, logs/APP/NAME.NUMBER.log where the application has a
// key, logs/PART.log for a part of the platform.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "supervisor/core/instance.h"
#include "supervisor/keeper/descriptor_store.h"
#include "supervisor/logs/log_writer.h"

namespace havn::supervisor {

class InstanceLogs {
  public:
    // Both outlive this object.
    InstanceLogs(DescriptorStore& store, LogWriter& writer) : store_(store), writer_(writer) {}

    struct Ends {
        io::Fd output;
        io::Fd errors;  // none for a part: both go into one pipe
    };

    // The instance's log is read from now on, if it was not yet.
    Result<> open(const Instance& instance);
    // For its next life.
    Result<Ends> ends(const Instance& instance) const;

    // Before a life begins; once it has, `started` writes the mark there, and a start that failed leaves
    // none.
    LogMarks::Ticket before_start(const Instance& instance);
    void started(const Instance& instance, LogMarks::Ticket ticket, std::string text);
    // After all that was printed until now.
    void ended(const Instance& instance, const std::string& text);

    // Every start that was noted has happened, or never will: so that the writer may take all there is.
    void settle();
    // No instance has the program and the number any more.
    void close(const std::string& app, const std::string& name, std::uint32_t number, Role role);

  private:
    struct Log {
        io::RotatingFile::Limits limits;
        std::shared_ptr<LogMarks> marks;
        bool closing = false;  // the pipes are the writer's until it says that it let go of them
    };
    void closed(const std::string& label);

    Result<int> pipe_of(const std::string& stored_as);
    Log* log_of(const Instance& instance);
    void drop_pipes(const std::string& label);

    DescriptorStore& store_;
    LogWriter& writer_;
    std::map<std::string, Log> logs_;  // by label
};

}  // namespace havn::supervisor
