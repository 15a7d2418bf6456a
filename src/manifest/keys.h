// The table of keys: every key the manifest knows is one row here, and nothing about a key is said elsewhere.
// The parser, the canonical JSON, the plan, the help, the schema and docs/manifest.md all walk this table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "manifest/model.h"

namespace havn::manifest {

enum class Type { text, integer, number, duration, size, backoff, texts, integers, env, choice };

// The struct a table of the manifest fills. Valid until the container it points into changes.
using Target = std::variant<Manifest*, Gateway*, Limits*, Broker*, Metrics*, Service*, Worker*, HealthCheck*,
                            Scale*, Route*, Fallback*, Queue*>;

// Where the value of one key lives inside a target.
using Slot =
    std::variant<std::string*, std::uint32_t*, std::uint64_t*, std::optional<std::uint64_t>*,
                 std::optional<double>*, milliseconds*, std::optional<milliseconds>*,
                 std::vector<std::string>*, std::vector<std::uint32_t>*, std::map<std::string, std::string>*,
                 Backoff*, Balance*, std::optional<Balance>*, Isolation*>;

// What applying a changed value does to what runs.
enum class Effect {
    none,               // recorded only
    restart,            // of the program's instances, one after the other
    instances,          // the difference is started or stopped
    requests,           // new requests follow it
    edge_listeners,     // the gateway's listening sockets are opened and closed
    metrics_listeners,  // those of /metrics
    broker_address,     // $AMQP_URL changes, so everything that has it restarts
    messages,           // messages published from then on
};

struct Section {
    std::string_view pattern;  // "service.*"; "" is the top of the file
    std::string_view parent;   // the pattern of the section it stands in
    std::string_view key;      // its name there: "service"
    bool named;                // holds tables of any name: [service.NAME]
    bool optional;             // when absent, the feature is off (not: all defaults)
    std::string_view noun;     // "service"
    std::string_view doc;
    std::string_view example;  // what to write, one line

    Target (*open)(Target parent,
                   std::string_view name);  // makes the struct, or finds the one there always is
    std::vector<std::pair<std::string, Target>> (*each)(Target parent);
};

struct Key {
    std::string_view section;  // a pattern, or "program": both service.* and worker.*
    std::string_view name;
    Type type;
    std::int64_t min, max;                 // of the number, the milliseconds, the bytes, or how many items
    std::string_view choices;              // "a|b", in the order of the enum
    bool (*valid)(std::string_view item);  // of a text or of each item; null = any
    std::string_view allowed;              // what `valid` accepts, in words
    std::string_view doc;
    std::string_view example;  // as written in the manifest
    std::string_view caveat;   // what this version does not do with it; else empty
    Effect effect;
    bool (*applies)(Target);      // null = always
    std::string_view applies_to;  // in words
    Slot (*slot)(Target);
};

std::span<const Section> sections();
std::span<const Key> keys();

const Section& section(std::string_view pattern);
std::vector<const Section*> children(std::string_view pattern);
std::vector<const Key*> keys_of(std::string_view pattern);
bool belongs(const Key& key, std::string_view pattern);

// "a whole number from 1 to 1000", "a duration from "1ms" to "1h"": what is allowed, in words.
std::string allowed(const Key& key);

// The value as JSON, in the manifest's own notation; null when it is unset.
Json value_of(const Key& key, Slot slot);
// What holds when the key is not written; null: nothing does.
Json default_of(const Key& key, std::string_view pattern);

std::vector<std::string> split(std::string_view text, char separator);

}  // namespace havn::manifest
