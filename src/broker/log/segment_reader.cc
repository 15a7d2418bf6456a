#include "broker/log/segment_reader.h"

#include <algorithm>

namespace havn::broker {

Result<File*> SegmentReader::open(const SegmentName& name) {
    const auto known = std::ranges::find(files_, name.number, &OpenFile::segment);
    if (known != files_.end()) {
        std::rotate(files_.begin(), known, known + 1);
        return files_.front().file.get();
    }
    if (files_.size() == files_max) files_.pop_back();
    Result<std::unique_ptr<File>> file = storage_.open(name.file(), false);
    if (!file && !files_.empty()) {  // perhaps for want of a descriptor: one of ours can be spared
        files_.pop_back();
        file = storage_.open(name.file(), false);
    }
    if (!file) return std::unexpected(file.error());
    files_.insert(files_.begin(), OpenFile{name.number, std::move(*file)});
    return files_.front().file.get();
}

void SegmentReader::forget(std::uint32_t segment) {
    std::erase_if(files_, [&](const OpenFile& open) { return open.segment == segment; });
    std::erase_if(windows_, [&](const auto& window) { return window->segment == segment; });
}

// What a window holds from there on; it becomes the first of them.
std::string_view SegmentReader::find(std::uint32_t segment, std::uint32_t offset) {
    const auto found = std::ranges::find_if(windows_, [&](const auto& window) {
        return window->segment == segment && offset >= window->begin && offset < window->end();
    });
    if (found == windows_.end()) return {};
    std::rotate(windows_.begin(), found, found + 1);
    const Window& window = *windows_.front();
    return window.bytes.view().substr(offset - window.begin, window.end() - offset);
}

// Reading that goes on near the end of a window takes that window over and doubles it; any other begins a new
// one, in the place of the one that was not used for longest.
SegmentReader::Window& SegmentReader::window_for(std::uint32_t segment, std::uint32_t offset) {
    const auto followed = std::ranges::find_if(windows_, [&](const auto& window) {
        return window->segment == segment && offset >= window->begin &&
               offset <= window->end() + window->size;
    });
    if (followed != windows_.end()) {
        std::rotate(windows_.begin(), followed, followed + 1);
        windows_.front()->wanted = std::min(windows_.front()->wanted * 2, window_bytes_max);
        return *windows_.front();
    }
    if (windows_.size() < windows_max) windows_.push_back(std::make_unique<Window>());
    std::rotate(windows_.begin(), windows_.end() - 1, windows_.end());
    windows_.front()->wanted = window_bytes_min;
    windows_.front()->segment = segment;
    return *windows_.front();
}

Result<std::string_view> SegmentReader::fill(Window& window, const SegmentName& name, std::uint32_t offset,
                                             std::size_t size) {
    window.size = 0;
    const Result<File*> file = open(name);
    if (!file) return std::unexpected(file.error());
    window.begin = offset;
    window.bytes.clear(window_bytes_max);
    char* into = window.bytes.grow(size);
    ++reads_;
    const Result<std::size_t> read = (*file)->read(offset, {into, size});
    if (!read) return std::unexpected(read.error());
    window.size = *read;
    if (size == window_bytes_max) (*file)->will_need(offset + size, window_bytes_max);
    return std::string_view(into, *read);
}

Result<std::string_view> SegmentReader::record(const SegmentName& name, std::uint32_t offset,
                                               std::uint32_t written) {
    const Place place{name.salt, offset};
    Record record;
    std::string_view bytes = find(name.number, offset);
    if (!bytes.empty() && check_record(bytes, place, record) == RecordCheck::ok) return bytes;
    Window& window = window_for(name.number, offset);  // not held, or held in part
    const std::size_t size = std::min<std::size_t>(window.wanted, written > offset ? written - offset : 0);
    const Result<std::string_view> filled = fill(window, name, offset, size);
    if (!filled || check_record(*filled, place, record) != RecordCheck::bad_payload) return filled;
    if (record.size <= filled->size()) return filled;
    const Result<File*> file = open(name);
    if (!file) return std::unexpected(file.error());
    large_.clear(window_bytes_max);
    char* into = large_.grow(record.size);
    ++reads_;
    const Result<std::size_t> read = (*file)->read(offset, {into, record.size});
    if (!read) return std::unexpected(read.error());
    return std::string_view(into, *read);
}

}  // namespace havn::broker
