// What a supervisor writes down (saved_state.h says what for): bases and the lines of their journals, as
// text.
//
// It encodes an instance when it differs from what was written last, and no other; a base reuses the texts of
// those that do not. Pure: who has the files writes the texts, in the order in which they were made, and asks
// for a new base when a write failed or the journal has outgrown its base.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "supervisor/core/process_table.h"
#include "supervisor/core/state/platform_rows.h"

namespace havn::supervisor {

class StateWriter {
  public:
    // `base`: the number of the last one that any supervisor wrote.
    StateWriter(std::string run, std::uint64_t base) : run_(std::move(run)), base_(base) {}

    // The whole table, as the next base; it is the present one from `base_is_written` on.
    std::string base(const ProcessTable& table, const PlatformRows& platform);
    void base_is_written();
    // Lines were made that may not be in the journal: until the next base is written, lines say all that they
    // refer to.
    void lines_are_lost() { incomplete_ = true; }
    // How the journal of the present base begins.
    std::string journal_head() const;

    // Lines for the journal about one instance that was just started, to be written before anything else
    // happens to it.
    std::string started(const Instance& instance);
    // Lines about what changed otherwise, of what was touched; empty when nothing did.
    std::string changes(const ProcessTable& table, const Touched& touched);

    const std::string& run() const { return run_; }
    // How many rows were made so far; for tests of what a change costs.
    std::uint64_t rows_encoded() const { return rows_encoded_; }

  private:
    struct Row {
        InstanceFacts facts;
        std::string text;
    };
    struct Specification {
        std::uint64_t id = 0;
        std::shared_ptr<const Program> program;  // keeps the key's object alive
    };

    // True when the row's text is another than the last one. `lines`: gets the specification's where it is
    // new.
    bool renew(const Instance& instance, std::string& lines);
    void forget_unused(const ProcessTable& table);

    std::string run_;
    std::uint64_t base_;                   // the present one
    bool incomplete_ = false;              // what was made is not all on the disk
    std::uint64_t endpoints_version_ = 0;  // as written last
    std::unordered_map<InstanceId, Row> rows_;
    std::map<const Program*, Specification> specifications_;
    std::uint64_t next_specification_ = 1;
    std::uint64_t rows_encoded_ = 0;
};

}  // namespace havn::supervisor
