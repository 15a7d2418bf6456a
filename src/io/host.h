// What the host gives a process: memory and descriptors. For defaults of budgets; read once at start.
#pragma once

#include <cstdint>

namespace havn::io {

// The memory this process may use, in bytes: the host's RAM, or the limit of the memory cgroup it is in
// (v2 or
// v1) where that is lower. 1 GiB when neither can be read.
std::uint64_t host_memory_bytes();

// Raises the soft limit of open descriptors to the hard one, and returns the limit now in force. Children
// inherit it: a program that is not ours and uses select() breaks with descriptors of 1024 and more, so who
// starts one gives it the former limit back.
std::uint64_t raise_descriptor_limit();

}  // namespace havn::io
