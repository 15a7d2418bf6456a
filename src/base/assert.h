// Assertions for what cannot happen. They stay on in release: a broken invariant must stop the process
// (the supervisor has it back in milliseconds) before it can spoil what is on disk.
#pragma once

namespace havn {

[[noreturn]] void assertion_failed(const char* condition, const char* why, const char* file, int line);

}  // namespace havn

#define HAVN_ASSERT(condition, why) \
    ((condition) ? void(0) : ::havn::assertion_failed(#condition, why, __FILE__, __LINE__))
