// Memory of whole pages that is the system's again the moment it is freed: what a heap frees, it keeps.
//
// For what is large and does not live long. Sizes are multiples of the page size; each call is a system call.
#pragma once

#include <cstddef>

namespace havn {

// Null when the system has none.
char* map_pages(std::size_t bytes);

// The same bytes in more or fewer pages, moved without being copied. Null, and nothing changed, when the
// system has none.
char* resize_pages(char* pages, std::size_t bytes, std::size_t new_bytes);

void unmap_pages(char* pages, std::size_t bytes);

}  // namespace havn
