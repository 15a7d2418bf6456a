// The supervisor at work: feeds the fleet with what happens and performs what it decided.
//
// One thread, one loop. Everything that must outlive this object's process is in the store (descriptors), in
// run/processes.json (the rest), or in run/spawned.jsonl (what was started since that was written), so that a
// SIGKILL at any moment loses nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "io/link.h"
#include "io/loop.h"
#include "io/rotating_file.h"
#include "supervisor/core/fleet.h"
#include "supervisor/core/saved_state.h"
#include "supervisor/shell/descriptor_limit.h"
#include "supervisor/shell/descriptor_store.h"
#include "supervisor/shell/foreground.h"
#include "supervisor/shell/listening_sockets.h"
#include "supervisor/shell/log_pipe.h"
#include "supervisor/shell/platform_accounts.h"
#include "supervisor/shell/probe.h"
#include "supervisor/shell/process_table.h"
#include "supervisor/shell/process_tree.h"
#include "supervisor/shell/spawn.h"
#include "supervisor/shell/supervisor.h"

namespace havn::supervisor {

class SupervisorProcess {
  public:
    SupervisorProcess(Options options, io::Fd keeper);
    int run();

  private:
    // One life of one unit.
    struct Process {
        std::optional<uid_t> uid;                // it was started as; none for one that was taken over
        SpawnRequest request;                    // until its program began; empty for one that was taken over
        std::shared_ptr<io::Descriptor> status;  // until its program began
        std::shared_ptr<io::Descriptor> pidfd;
        std::optional<Error> failure;    // why its program did not begin
        std::optional<Exit> told_exit;   // by the keeper, whose child it is
        std::uint64_t pongs = 0;         // answers of a part to its pings
        std::shared_ptr<io::Link> link;  // to a part
        bool by_shell = false;           // its command is run by /bin/sh
        bool shell_stays = false;        // its main process is a shell: the program is another of its group
        Exit exit;                       // known before the group has ended
        std::string listens_on;          // instead of its port, when somebody looked
        std::vector<ProcessFacts> tree;  // its descendants when it was told to end
    };
    struct Log {
        std::unique_ptr<LogPipe> pipe;
        io::RotatingFile::Limits limits;
    };
    struct Ended {  // a life, of whose processes some may still be there
        std::string label;
        int pid;
        std::string cookie;
        std::vector<ProcessFacts> tree;
        int round;
    };
    using Signals = io::asio::basic_signal_set<io::Executor>;

    // Taking charge: supervisor_process.cc
    static io::Task<void> start(SupervisorProcess* self);
    Result<bool> prepare_folder();  // true when an earlier supervisor's platform is still there
    io::Task<void> end_leftovers();
    void take_over(bool continues);
    void adopt(Unit unit);
    void load_accepted(bool continues);
    static io::Task<void> retry_accepted(SupervisorProcess* self);
    void on_keeper(const Json& message);
    static io::Task<void> watch_keeper(SupervisorProcess* self);
    static io::Task<void> watch_signals(SupervisorProcess* self);
    static io::Task<void> watch_time(SupervisorProcess* self);
    static io::Task<void> finish(SupervisorProcess* self);
    void refuse(const Error& error);

    // What was decided: perform.cc
    void perform();
    void perform_one(const Spawn& effect);
    void perform_one(const Terminate& effect);
    void perform_one(const KillTree& effect);
    void perform_one(const Probe& effect);
    void perform_one(const Publish& effect);
    void perform_one(const Forget& effect);
    void perform_one(const Say& effect);
    void perform_one(const Finished& effect);
    Result<SpawnRequest> request_for(const Unit& unit, std::uint16_t port, const std::string& cookie);
    Result<> start_process(const Unit& unit);
    Result<int> pipe_of(const std::string& stored_as);
    Result<> open_log(const Unit& unit);
    Result<io::Fd> write_end(const Unit& unit, const std::string& prefix, const Account& account);
    void keep_events();
    LogPipe* log_of(const Unit& unit);
    Result<std::uint16_t> free_port();
    static io::Task<void> watch_exit(SupervisorProcess* self, UnitId unit, int pid,
                                     std::shared_ptr<io::Descriptor> pidfd);
    static io::Task<void> watch_start(SupervisorProcess* self, UnitId unit,
                                      std::shared_ptr<io::Descriptor> status);
    static io::Task<void> run_ping(SupervisorProcess* self, UnitId unit, int pid, milliseconds timeout);
    static io::Task<void> run_probe(SupervisorProcess* self, UnitId unit, int pid, std::uint16_t port,
                                    std::optional<HealthCheck> health);
    ProbeResult check_listener(const Unit& unit, ProbeResult result);
    std::string why_refused(const Unit& unit);
    void on_exit(UnitId unit, int pid);
    static io::Task<void> wait_for_group(SupervisorProcess* self, UnitId unit, int pid);
    void on_life_over(UnitId unit, int pid);
    void on_told_exit(int pid, int status);
    void reap();
    void say(log::Level level, std::string_view text);

    // Whole trees of processes: trees.cc
    void look_soon();
    static io::Task<void> look(SupervisorProcess* self);
    void terminate(const ProcessView& view);
    void sweep(const ProcessView& view);

    // What the parts say, and are told: messages.cc
    Result<io::Fd> make_link(const Unit& unit);
    void connect_part(UnitId unit, int pid, io::Fd ours);
    static io::Task<void> receive(SupervisorProcess* self, UnitId unit, int pid,
                                  std::shared_ptr<io::Link> link);
    void on_message(UnitId unit, Json message);
    void on_command(io::Link& control, const link::ToSupervisor& said);
    void answer(io::Link& control, std::uint64_t command, const Result<>& done);
    Result<> on_apply(const link::Apply& message);
    Result<Account> account_of(const Program& program, std::optional<uid_t>& folder_owner) const;
    Result<> on_restart(const link::Restart& message);
    io::Link* link_to(std::string_view part);
    void send_listeners(std::string_view part);
    void send_endpoints();
    void changed();  // the state file and the process table follow soon
    static io::Task<void> write_later(SupervisorProcess* self, Duration pause);
    void write_changes();
    void note_in_journal(const Unit& unit);

    static Moment now();

    Options options_;
    io::Loop loop_;
    io::Link keeper_;
    DescriptorStore store_;
    Accounts accounts_;
    std::unique_ptr<ListeningSockets> listening_;
    std::unique_ptr<Foreground> foreground_;
    io::RotatingFile events_{"logs/events.log", {.bytes = 10u << 20, .backups = 3}};
    io::RotatingFile own_log_{"logs/supervisor.log", {.bytes = 10u << 20, .backups = 3}};
    io::Fd executable_;
    Fleet fleet_;
    std::map<UnitId, Process> processes_;
    std::map<std::string, UnitId> linked_;                        // the parts, by name
    std::vector<std::pair<UnitId, int>> to_terminate_, to_kill_;  // with the pid that is meant
    std::vector<Ended> ended_;
    bool look_pending_ = false;
    Time next_look_{};
    Time next_search_{};                        // for the port that a service listens on instead of its own
    std::vector<std::pair<UnitId, int>> dead_;  // taken over with a pid, but no process was there any more
    std::map<int, int> exits_;                  // status by pid, of what ended while there was no supervisor
    std::map<int, UnitId> unexplained_;         // by pid: ended, and the keeper's word about it is due
    io::Fd journal_;
    std::uint64_t files_soft_ = files_soft_of_programs();
    std::map<std::string, Log> logs_;
    io::Timer timer_;
    Signals signals_;
    std::string run_;
    Random ports_;
    std::uint16_t next_port_;
    PlatformRows platform_rows_;
    std::uint64_t table_revision_ = 0;  // grows over all supervisors
    std::string last_table_;
    RowCache saved_rows_, table_rows_;
    bool change_pending_ = false;
    Time next_write_{};
    bool applied_ = false;  // a configuration is in force
    Desired accepted_;      // the last one
    int interrupts_ = 0;
    bool performing_ = false;
    bool finished_ = false;
    int exit_code_ = 1;
};

}  // namespace havn::supervisor
