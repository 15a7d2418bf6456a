// An instance and its specification as they stand in the saved state, of this version and of the ones before.
//
// The readers throw a std::exception that names what is missing or wrong; saved_state.cc makes an error of
// it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/json.h"
#include "supervisor/core/instance.h"

namespace havn::supervisor {

// By the number that rows refer to.
using Specifications = std::map<std::uint64_t, std::shared_ptr<const Program>>;

Json to_json(const Instance& instance, std::uint64_t specification);
Instance instance_from_json(const Json& json, const Specifications& programs, std::uint32_t version);

// Version 1 had a port on 127.0.0.1 for an address, a cookie for a handle, and no applications.
Started life_from_json(const Json& json, std::uint32_t version);

std::shared_ptr<const Program> specification_from_json(const Json& json);
// Of a whole list; in version 1 the number is the place in it.
Specifications specifications_from_json(const Json& list, std::uint32_t version);

// Milliseconds after the epoch, and back; throws for a time after the year 2500, which would not be written
// as it was read.
std::int64_t wall_ms(WallTime time);
WallTime wall_time_at(const Json& json, const char* key);

// Names and messages may hold bytes that are no UTF-8: they are replaced, and nothing is thrown.
std::string json_text(const Json& json);

}  // namespace havn::supervisor
