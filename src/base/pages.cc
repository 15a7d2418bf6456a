#include "base/pages.h"

#include <sys/mman.h>

namespace havn {

char* map_pages(std::size_t bytes) {
    void* const pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? nullptr : static_cast<char*>(pages);
}

char* resize_pages(char* pages, std::size_t bytes, std::size_t new_bytes) {
    void* const moved = ::mremap(pages, bytes, new_bytes, MREMAP_MAYMOVE);
    return moved == MAP_FAILED ? nullptr : static_cast<char*>(moved);
}

void unmap_pages(char* pages, std::size_t bytes) {
    ::munmap(pages, bytes);
}

}  // namespace havn
