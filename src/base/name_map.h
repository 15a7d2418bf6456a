// A hash map by name that is looked up by view: no string is made to ask.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace havn {

struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
};

template <class Value>
using NameMap = std::unordered_map<std::string, Value, NameHash, std::equal_to<>>;

}  // namespace havn
