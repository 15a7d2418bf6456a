#include "gateway/core/policy/memory.h"

#include <cstdlib>
#include <cstring>

#include "base/pages.h"

namespace havn::gateway {

namespace {

constexpr std::size_t page_step = 65536;

}  // namespace

bool HeldBytes::append(std::string_view piece) {
    if (piece.size() > capacity_ - size_ && !grow(size_ + piece.size())) return false;
    if (!piece.empty()) std::memcpy(data_ + size_, piece.data(), piece.size());
    size_ += piece.size();
    return true;
}

bool HeldBytes::take_beside(std::uint64_t bytes) {
    if (!share_->try_take(bytes, false)) return false;
    beside_ += bytes;
    return true;
}

// What is small grows by half, what is large by an eighth: that much may be held in vain.
bool HeldBytes::grow(std::size_t needed) {
    const bool large = needed > small_bytes;
    const std::size_t capacity = large ? (needed + needed / 8 + page_step - 1) / page_step * page_step
                                       : std::min(std::max(needed, capacity_ + capacity_ / 2), small_bytes);
    if (!share_->try_take(capacity - capacity_, large || expected_ > small_bytes)) return false;
    char* data = nullptr;
    if (!large) {
        data = static_cast<char*>(std::realloc(data_, capacity));
    } else {
        data = is_mapped() ? resize_pages(data_, capacity_, capacity) : map_pages(capacity);
    }
    if (!data) {
        share_->give_back(capacity - capacity_);
        return false;
    }
    if (large && !is_mapped() && data_) {
        std::memcpy(data, data_, size_);
        std::free(data_);
    }
    data_ = data;
    capacity_ = capacity;
    return true;
}

void HeldBytes::release() {
    if (is_mapped()) {
        unmap_pages(data_, capacity_);
    } else {
        std::free(data_);
    }
    if (capacity_ + beside_ > 0) share_->give_back(capacity_ + beside_);
    data_ = nullptr;
    size_ = capacity_ = 0;
    beside_ = expected_ = 0;
}

}  // namespace havn::gateway
