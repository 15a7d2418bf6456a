#include "control/shell/file_scale_store.h"

#include <filesystem>

#include "io/file.h"

namespace havn::control {
namespace {

Error damaged_scales(const std::string& path, const Error& cause) {
    return {Error::Kind::corrupt, path + ": " + cause.message,
            "remove it, and scale anew what shall not run as the manifest says"};
}

}  // namespace

Result<ScaleTable> FileScaleStore::load() const {
    std::error_code ignored;
    if (!std::filesystem::exists(path_, ignored)) return ScaleTable{};
    const Result<std::string> text = io::read_file(path_);
    if (!text) return std::unexpected(damaged_scales(path_, text.error()));
    const Result<Json> json = parse_json(*text);
    if (!json) return std::unexpected(damaged_scales(path_, json.error()));
    Result<ScaleTable> table = scale_table_from_json(*json);
    if (!table) return std::unexpected(damaged_scales(path_, table.error()));
    return table;
}

Result<> FileScaleStore::save(const ScaleTable& table) {
    return io::replace_file(path_, to_json(table).dump(2) + "\n");
}

}  // namespace havn::control
