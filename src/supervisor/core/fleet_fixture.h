// The fixture of the fleet's tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "supervisor/core/fleet.h"

namespace havn::supervisor {

// A fleet with a clock moved by hand and a shell that starts every process at once and keeps what it was
// told.
struct FleetTest : testing::Test {
    Fleet fleet{42};
    Moment now{Time{} + seconds(1'000), WallTime{} + seconds(1'000'000)};
    Desired desired;
    int next_pid = 100;
    std::vector<std::string> done;  // "spawn web.1", "term web.1", …, in order
    std::map<UnitId, std::string> labels;
    bool finished = false;

    void perform() {
        for (std::vector<Effect> effects = fleet.take_effects(); !effects.empty();
             effects = fleet.take_effects()) {
            for (const Effect& effect : effects) {
                if (const auto* spawn = std::get_if<Spawn>(&effect)) {
                    labels[spawn->unit] = fleet.find(spawn->unit)->label();
                    done.push_back("spawn " + labels[spawn->unit]);
                    const int pid = next_pid++;
                    const bool is_service = fleet.find(spawn->unit)->role == Role::service;
                    fleet.spawned(spawn->unit,
                                  {pid, 1, static_cast<std::uint16_t>(is_service ? 20'000 + pid : 0), "c"},
                                  now);
                }
                if (const auto* term = std::get_if<Terminate>(&effect))
                    done.push_back("term " + labels[term->unit]);
                if (const auto* kill = std::get_if<KillTree>(&effect))
                    done.push_back("kill " + labels[kill->unit]);
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
        fleet.apply(desired, now);
        perform();
    }
    void advance(milliseconds duration) {
        now.time += duration;
        now.wall += duration;
        fleet.tick(now);
        perform();
    }
    std::vector<const Unit*> all(const std::string& label) {
        std::vector<const Unit*> found;
        for (const auto& [id, unit] : fleet.units()) {
            if (unit.label() == label) found.push_back(&unit);
        }
        return found;
    }
    const Unit& unit(const std::string& label) {
        EXPECT_EQ(all(label).size(), 1u) << label;
        return *all(label).at(0);
    }
    void healthy(const Unit& unit) {
        fleet.probed(unit.id, true, "", now);
        perform();
    }
    void healthy(const std::string& label) { healthy(unit(label)); }
    void unhealthy(const std::string& label) {
        fleet.probed(unit(label).id, false, "HTTP 500", now);
        perform();
    }
    void die(const Unit& unit) {
        fleet.ended(unit.id, "signal 9 (Killed)", "", now);
        perform();
    }
    void die(const std::string& label) { die(unit(label)); }
    void parts_ready() {
        for (const char* part : {"control.1", "broker.1", "gateway.1"})
            fleet.reported_ready(unit(part).id, now);
        perform();
    }
    // Everything applied and ready, and what was done to get there forgotten.
    void settle() {
        apply();
        parts_ready();
        for (int round = 0; round < 5; ++round) {
            std::vector<UnitId> starting;
            for (const auto& [id, unit] : fleet.units()) {
                if (unit.state == State::starting) starting.push_back(id);
            }
            for (const UnitId id : starting) fleet.probed(id, true, "", now);
            perform();
        }
        advance(milliseconds(5'000));
        done.clear();
    }
    std::vector<std::string> endpoints(const std::string& name) {
        std::vector<std::string> addresses;
        for (const Endpoint& endpoint : fleet.endpoints().services.at(name))
            addresses.push_back(endpoint.address);
        return addresses;
    }
};

}  // namespace havn::supervisor
