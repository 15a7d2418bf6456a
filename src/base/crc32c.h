// CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected, RFC 3720 appendix B.4): the checksum of everything
// the broker keeps on disk. Uses the processor's instruction (SSE4.2) where it has one, a table otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace havn {

// `before` is the checksum of what precedes, so that crc32c(b, crc32c(a)) == crc32c(a + b).
std::uint32_t crc32c(std::string_view data, std::uint32_t before = 0);

// The table's way, on every processor: what the fast one is tested against.
std::uint32_t crc32c_portable(std::string_view data, std::uint32_t before = 0);

}  // namespace havn
