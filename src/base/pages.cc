#include "base/pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace havn {

char* map_pages(std::size_t bytes) {
    void* const pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? nullptr : static_cast<char*>(pages);
}

#if __has_feature(thread_sanitizer)
// TSan does not see mremap: what another thread had at the new address before would be a race to it.
char* resize_pages(char* pages, std::size_t bytes, std::size_t new_bytes) {
    char* const moved = map_pages(new_bytes);
    if (!moved) return nullptr;
    std::memcpy(moved, pages, std::min(bytes, new_bytes));
    unmap_pages(pages, bytes);
    return moved;
}
#else
char* resize_pages(char* pages, std::size_t bytes, std::size_t new_bytes) {
    void* const moved = ::mremap(pages, bytes, new_bytes, MREMAP_MAYMOVE);
    return moved == MAP_FAILED ? nullptr : static_cast<char*>(moved);
}
#endif

void unmap_pages(char* pages, std::size_t bytes) {
    ::munmap(pages, bytes);
}

}  // namespace havn
