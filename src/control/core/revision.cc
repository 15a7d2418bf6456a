#include "control/core/revision.h"

#include "base/json_reader.h"

namespace havn::control {
namespace {

constexpr std::uint32_t placement_version = 1;

}  // namespace

Json origin_of(const Submission& source) {
    return {{"directory", source.directory}, {"file", source.file}};
}

Json to_json(const Placement& placement) {
    return {{"version", placement_version},
            {"service_addresses", placement.service_addresses},
            {"broker_password", placement.broker_password}};
}

Result<Placement> placement_from_json(const Json& json) {
    Placement placement;
    std::uint32_t version = 0;
    JsonReader reader(json, "the placement");
    reader.number("version", version, placement_version, placement_version);
    reader.texts_by_name("service_addresses", placement.service_addresses);
    reader.required_text("broker_password", placement.broker_password);
    reader.refuse_others();
    if (Result<> read = reader.result(); !read) return std::unexpected(read.error());
    return placement;
}

Placement placement_from_version_1(const Json& supervisor, const Json& broker) {
    constexpr std::string_view of_service = "service:";
    Placement placement;
    if (!supervisor.is_object() || !broker.is_object()) return placement;
    for (const Json& listener : supervisor.value("listeners", Json::array())) {
        const std::string name = text_of(listener, "name");
        if (!name.starts_with(of_service)) continue;
        placement.service_addresses[name.substr(of_service.size())] = text_of(listener, "address");
    }
    for (const Json& user : broker.value("users", Json::array())) {
        if (text_of(user, "name") == platform_user) placement.broker_password = text_of(user, "password");
    }
    return placement;
}

}  // namespace havn::control
