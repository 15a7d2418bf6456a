#include "contract/link.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <utility>

#include "base/json_reader.h"

namespace havn::link {

namespace {

constexpr std::uint64_t number_max = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t instance_max = std::numeric_limits<std::uint32_t>::max();
constexpr Error::Kind error_kinds[] = {Error::Kind::invalid, Error::Kind::not_found,   Error::Kind::conflict,
                                       Error::Kind::denied,  Error::Kind::unavailable, Error::Kind::corrupt,
                                       Error::Kind::internal};

Error::Kind error_kind_of(std::string_view text) {
    for (const Error::Kind kind : error_kinds) {
        if (name(kind) == text) return kind;
    }
    return Error::Kind::internal;
}

std::string type_of(const Json& message) {
    return message.is_object() ? text_of(message, "type") : "";
}

template <class Message>
Result<Message> finished(const JsonReader& reader, Message message) {
    if (Result<> read = reader.result(); !read) return std::unexpected(read.error());
    return message;
}

Result<Listeners> read_listeners(const Json& json) {
    Listeners message;
    JsonReader reader(json, "listeners");
    reader.objects("listeners", [&](JsonReader& item) {
        Listener& entry = message.entries.emplace_back();
        item.required_text("name", entry.name);
        item.required_text("address", entry.address);
        entry.kind = kind_of(entry.address);
        std::string kind(name(entry.kind));
        item.text("kind", kind);
        if (kind == name(ListenerKind::tcp)) {
            entry.kind = ListenerKind::tcp;
        } else if (kind == name(ListenerKind::local)) {
            entry.kind = ListenerKind::local;
        } else {
            item.refuse_value("kind", "tcp or unix");
        }
    });
    return finished(reader, std::move(message));
}

Result<Endpoints> read_endpoints(const Json& json) {
    Endpoints message;
    JsonReader reader(json, "endpoints");
    reader.number("version", message.version, 0, number_max);
    if (Result<> read = reader.result(); !read) return std::unexpected(read.error());
    const auto services = json.find("services");
    if (services == json.end() || !services->is_object()) {
        return fail(Error::Kind::invalid, "endpoints: services: expected an object");
    }
    for (const auto& [service, list] : services->items()) {
        const Json one{{service, list}};
        JsonReader entries(one, "endpoints");
        std::vector<Endpoint>& endpoints = message.services[service];
        entries.objects(service, [&](JsonReader& item) {
            Endpoint& endpoint = endpoints.emplace_back();
            item.required_text("address", endpoint.address);
            item.number("instance", endpoint.instance, 1, instance_max);
        });
        if (Result<> read = entries.result(); !read) return std::unexpected(read.error());
    }
    return message;
}

Result<Reply> read_reply(const Json& json) {
    Reply message;
    JsonReader reader(json, "reply");
    reader.number("id", message.id, 0, number_max);
    reader.object("error", [&](JsonReader& item) {
        Error& error = message.error.emplace();
        std::string kind;
        item.text("kind", kind);
        item.text("message", error.message);
        item.text("remedy", error.remedy);
        error.kind = error_kind_of(kind);
    });
    return finished(reader, std::move(message));
}

// The rows are many: they are moved out of the message, and looked at only as far as that they are objects.
Result<Processes> read_processes(Json& json) {
    Processes message;
    JsonReader reader(json, "processes");
    reader.number("revision", message.revision, 0, number_max);
    reader.flag("whole", message.whole);
    if (Result<> read = reader.result(); !read) return std::unexpected(read.error());
    for (const Json& id : json.value("gone", Json::array())) {
        const std::optional<std::uint64_t> number = integer_of<std::uint64_t>(id);
        if (!number) return fail(Error::Kind::invalid, "processes: gone: expected ids, found " + id.dump());
        message.gone.push_back(*number);
    }
    const auto rows = json.find("processes");
    if (rows == json.end() || !rows->is_array()) {
        return fail(Error::Kind::invalid, "processes: processes: expected a list");
    }
    for (const Json& row : *rows) {
        if (!row.is_object()) {
            return fail(Error::Kind::invalid, "processes: expected rows, found " + row.dump());
        }
    }
    message.rows = std::move(*rows);
    return message;
}

Result<Apply> read_apply(Json& json) {
    Apply message;
    JsonReader reader(json, "apply");
    reader.number("id", message.id, 0, number_max);
    if (Result<> read = reader.result(); !read) return std::unexpected(read.error());
    if (json.contains("desired")) message.desired = std::move(json["desired"]);
    if (json.contains("origin")) message.origin = std::move(json["origin"]);
    return message;
}

Result<Restart> read_restart(const Json& json) {
    Restart message;
    JsonReader reader(json, "restart");
    reader.number("id", message.id, 0, number_max);
    reader.text("app", message.app);
    reader.text("name", message.name);
    reader.number("instance", message.instance, 1, instance_max);  // null: all
    return finished(reader, std::move(message));
}

template <class Message>
Result<Message> read_with(const Json& json, const char* document, auto read) {
    Message message;
    JsonReader reader(json, document);
    read(reader, message);
    return finished(reader, std::move(message));
}

template <class Variant, class Message>
Result<Variant> widened(Result<Message> message) {
    if (!message) return std::unexpected(message.error());
    return Variant(std::move(*message));
}

std::unexpected<Error> unknown(const Json& message) {
    if (!message.is_object()) return fail(Error::Kind::invalid, "link: a message that is no object");
    return fail(Error::Kind::invalid, "unknown message '" + type_of(message) + "'");
}

}  // namespace

std::string_view name(ListenerKind kind) {
    return kind == ListenerKind::local ? "unix" : "tcp";
}

ListenerKind kind_of(std::string_view address) {
    return address.starts_with("unix:") ? ListenerKind::local : ListenerKind::tcp;
}

Json to_json(const Ready&) {
    return {{"type", "ready"}};
}

Json to_json(const Pong& message) {
    return {{"type", "pong"}, {"ready", message.ready}};
}

Json to_json(const Applied& message) {
    return {{"type", "applied"}, {"version", message.version}};
}

Json to_json(const Drained& message) {
    return {{"type", "drained"}, {"endpoint", message.endpoint}};
}

Json to_json(const Apply& message) {
    return {{"type", "apply"}, {"id", message.id}, {"desired", message.desired}, {"origin", message.origin}};
}

Json to_json(const Restart& message) {
    return {{"type", "restart"},
            {"id", message.id},
            {"app", message.app},
            {"name", message.name},
            {"instance", message.instance == 0 ? Json() : Json(message.instance)}};
}

Json to_json(const Stop& message) {
    return {{"type", "stop"}, {"id", message.id}};
}

Json to_json(const Listeners& message) {
    Json entries = Json::array();
    for (const Listener& entry : message.entries) {
        entries.push_back({{"name", entry.name}, {"address", entry.address}, {"kind", name(entry.kind)}});
    }
    return {{"type", "listeners"}, {"listeners", std::move(entries)}};
}

Json to_json(const Endpoints& message) {
    Json services = Json::object();
    for (const auto& [name, endpoints] : message.services) {
        Json& list = services[name] = Json::array();
        for (const Endpoint& endpoint : endpoints) {
            list.push_back({{"address", endpoint.address}, {"instance", endpoint.instance}});
        }
    }
    return {{"type", "endpoints"}, {"version", message.version}, {"services", std::move(services)}};
}

Json to_json(const Ping&) {
    return {{"type", "ping"}};
}

Json to_json(const Reply& message) {
    Json json{{"type", "reply"}, {"id", message.id}};
    if (message.error) {
        json["error"] = {{"kind", name(message.error->kind)},
                         {"message", message.error->message},
                         {"remedy", message.error->remedy}};
    }
    return json;
}

std::string processes_text(std::uint64_t revision, bool whole, std::string_view rows,
                           const std::vector<std::uint64_t>& gone) {
    return fmt::format(R"({{"type":"processes","revision":{},"whole":{},"gone":[{}],"processes":{}}})",
                       revision, whole, fmt::join(gone, ","), rows);
}

Result<ToPart> to_part_from_json(Json message) {
    const std::string type = type_of(message);
    if (type == "listeners") return widened<ToPart>(read_listeners(message));
    if (type == "endpoints") return widened<ToPart>(read_endpoints(message));
    if (type == "ping") return Ping{};
    if (type == "reply") return widened<ToPart>(read_reply(message));
    if (type == "processes") return widened<ToPart>(read_processes(message));
    return unknown(message);
}

Result<ToSupervisor> to_supervisor_from_json(Json message) {
    const std::string type = type_of(message);
    if (type == "ready") return Ready{};
    if (type == "pong") {
        return widened<ToSupervisor>(read_with<Pong>(
            message, "pong", [](JsonReader& reader, Pong& pong) { reader.flag("ready", pong.ready); }));
    }
    if (type == "applied") {
        return widened<ToSupervisor>(
            read_with<Applied>(message, "applied", [](JsonReader& reader, Applied& applied) {
                reader.number("version", applied.version, 0, number_max);
            }));
    }
    if (type == "drained") {
        return widened<ToSupervisor>(
            read_with<Drained>(message, "drained", [](JsonReader& reader, Drained& drained) {
                reader.required_text("endpoint", drained.endpoint);
            }));
    }
    if (type == "apply") return widened<ToSupervisor>(read_apply(message));
    if (type == "restart") return widened<ToSupervisor>(read_restart(message));
    if (type == "stop") return Stop{id_of(message)};
    return unknown(message);
}

std::uint64_t id_of(const Json& message) {
    const auto found = message.is_object() ? message.find("id") : message.end();
    return found == message.end() ? 0 : integer_of<std::uint64_t>(*found).value_or(0);
}

}  // namespace havn::link
