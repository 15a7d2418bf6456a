// The fixture of the table's tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "supervisor/core/process_table.h"

namespace havn::supervisor {

// A table with a clock moved by hand and a shell that starts every process at once and keeps what it was
// told.
struct ProcessTableTest : testing::Test {
    ProcessTable table{42};
    Moment now{Time{} + seconds(1'000), WallTime{} + seconds(1'000'000)};
    Desired desired;
    int next_pid = 100;
    std::vector<std::string> done;  // "spawn web.1", "term web.1", …, in order
    std::map<InstanceId, std::string> labels;
    bool finished = false;

    void perform() {
        for (std::vector<Effect> effects = table.take_effects(); !effects.empty();
             effects = table.take_effects()) {
            for (const Effect& effect : effects) {
                if (const auto* spawn = std::get_if<Spawn>(&effect)) {
                    labels[spawn->instance] = table.find(spawn->instance)->label();
                    done.push_back("spawn " + labels[spawn->instance]);
                    const int pid = next_pid++;
                    const bool is_service = table.find(spawn->instance)->role == Role::service;
                    table.started(spawn->instance,
                                  {.handle = "c",
                                   .pid = pid,
                                   .start_time = 1,
                                   .address = is_service ? fmt::format("127.0.0.1:{}", 20'000 + pid) : ""},
                                  now);
                }
                if (const auto* term = std::get_if<Terminate>(&effect)) {
                    done.push_back("term " + labels[term->instance]);
                }
                if (const auto* kill = std::get_if<KillTree>(&effect)) {
                    done.push_back("kill " + labels[kill->instance]);
                }
                if (std::holds_alternative<Finished>(effect)) finished = true;
            }
        }
    }
    std::vector<std::string> take_done() {
        perform();
        return std::exchange(done, {});
    }
    void add(const std::string& name, Kind kind, std::uint32_t instances = 1) {
        Program program;
        program.name = name;
        program.kind = kind;
        program.instances = instances;
        program.command = name;
        program.directory = "/";
        desired.programs.push_back(program);
    }
    Program& program(const std::string& name) {
        return *std::ranges::find(desired.programs, name, &Program::name);
    }
    void apply() {
        table.apply(desired, now);
        perform();
    }
    void advance(milliseconds duration) {
        now.time += duration;
        now.wall += duration;
        table.tick(now);
        perform();
    }
    std::vector<const Instance*> all(const std::string& label) {
        std::vector<const Instance*> found;
        for (const auto& [id, instance] : table.instances()) {
            if (instance.label() == label) found.push_back(&instance);
        }
        return found;
    }
    const Instance& instance(const std::string& label) {
        EXPECT_EQ(all(label).size(), 1u) << label;
        return *all(label).at(0);
    }
    void healthy(const Instance& instance) {
        table.probed(instance.id, true, "", now);
        perform();
    }
    void healthy(const std::string& label) { healthy(instance(label)); }
    void unhealthy(const std::string& label) {
        table.probed(instance(label).id, false, "HTTP 500", now);
        perform();
    }
    void die(const Instance& instance) {
        table.ended(instance.id, "signal 9 (Killed)", "", now);
        perform();
    }
    void die(const std::string& label) { die(instance(label)); }
    void parts_ready() {
        for (const char* part : {"control.1", "broker.1", "gateway.1"}) {
            table.reported_ready(instance(part).id, now);
        }
        perform();
    }
    // Everything applied and ready, and what was done to get there forgotten.
    void settle() {
        apply();
        parts_ready();
        for (int round = 0; round < 5; ++round) {
            std::vector<InstanceId> starting;
            for (const auto& [id, instance] : table.instances()) {
                if (instance.state == State::starting) starting.push_back(id);
            }
            for (const InstanceId id : starting) table.probed(id, true, "", now);
            perform();
        }
        advance(milliseconds(5'000));
        done.clear();
    }
    std::vector<std::string> endpoints(const std::string& name) {
        std::vector<std::string> addresses;
        for (const Endpoint& endpoint : table.endpoints().services.at(name)) {
            addresses.push_back(endpoint.address);
        }
        return addresses;
    }
};

}  // namespace havn::supervisor
