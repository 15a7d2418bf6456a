// Records read back from segment files: a few files kept open, a few windows of them kept in memory.
//
// A window begins small and doubles while reading goes on where it ended, so that a cold backlog is served
// with few calls, and a single message costs a small one. When a window has its full size the kernel is asked
// to fetch what follows it in the meantime. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "broker/log/record.h"
#include "broker/log/segment.h"
#include "broker/log/storage.h"

namespace havn::broker {

class SegmentReader {
  public:
    static constexpr std::size_t files_max = 32, windows_max = 16;
    static constexpr std::size_t window_bytes_min = 8u << 10, window_bytes_max = 256u << 10;

    explicit SegmentReader(Storage& storage) : storage_(storage) {}

    // The bytes from there on: the whole record, if one that checks out stands there. An error says nothing
    // about the record. Valid until the next call. Nothing is kept of what stands at `written` and beyond.
    Result<std::string_view> record(const SegmentName& name, std::uint32_t offset,
                                    std::uint32_t written = UINT32_MAX);
    void forget(std::uint32_t segment);  // its file is gone

    std::uint64_t reads() const { return reads_; }  // system calls made

  private:
    struct OpenFile {
        std::uint32_t segment = 0;
        std::unique_ptr<File> file;
    };
    struct Window {
        std::uint32_t segment = 0;
        std::uint64_t begin = 0;
        std::size_t size = 0, wanted = window_bytes_min;
        ByteBuffer bytes;
        std::uint64_t end() const { return begin + size; }
    };

    Result<File*> open(const SegmentName& name);
    Window& window_for(std::uint32_t segment, std::uint32_t offset);
    Result<std::string_view> fill(Window& window, const SegmentName& name, std::uint32_t offset,
                                  std::size_t size);
    std::string_view find(std::uint32_t segment, std::uint32_t offset);

    Storage& storage_;
    std::vector<OpenFile> files_;                   // the latest used first
    std::vector<std::unique_ptr<Window>> windows_;  // likewise
    ByteBuffer large_;                              // a record longer than a window
    std::uint64_t reads_ = 0;
};

}  // namespace havn::broker
