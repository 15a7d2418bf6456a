#include "rpc/message.h"

#include <array>

namespace havn::rpc {

Result<Json> Request::json() const {
    if (body.empty()) return Json::object();
    Result<Json> parsed = parse_json(body);
    if (!parsed) {
        return fail(Error::Kind::invalid, "the request's body is not JSON: " + parsed.error().message);
    }
    return parsed;
}

std::string Request::query_or(const std::string& name, std::string_view otherwise) const {
    const auto found = query.find(name);
    return found == query.end() ? std::string(otherwise) : found->second;
}

// A message may quote what a client sent, which need not be UTF-8: it is answered all the same.
Response json(const Json& body, int status) {
    return {.status = status,
            .body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n",
            .stream = {}};
}

Response json_or_error(const Result<Json>& result) {
    return result ? json(*result) : error(result.error());
}

Response text(std::string body, std::string type) {
    return {.type = std::move(type), .body = std::move(body), .stream = {}};
}

Response error(const Error& error) {
    return json(to_json(error), status_of(error.kind));
}

int status_of(Error::Kind kind) {
    switch (kind) {
        case Error::Kind::invalid:
            return 400;
        case Error::Kind::not_found:
            return 404;
        case Error::Kind::conflict:
            return 409;
        case Error::Kind::denied:
            return 403;
        case Error::Kind::unavailable:
            return 503;
        case Error::Kind::corrupt:
        case Error::Kind::internal:
            return 500;
    }
    return 500;
}

namespace {

constexpr std::array kinds{Error::Kind::invalid, Error::Kind::not_found,   Error::Kind::conflict,
                           Error::Kind::denied,  Error::Kind::unavailable, Error::Kind::corrupt,
                           Error::Kind::internal};

}  // namespace

Json to_json(const Error& error) {
    return {{"error", {{"kind", name(error.kind)}, {"message", error.message}, {"remedy", error.remedy}}}};
}

Error error_from(int status, std::string_view body) {
    const Result<Json> parsed = parse_json(body);
    if (parsed && parsed->is_object() && parsed->contains("error") && (*parsed)["error"].is_object()) {
        const Json& fields = (*parsed)["error"];
        const std::string kind = fields.value("kind", "");
        for (const Error::Kind candidate : kinds) {
            if (name(candidate) == kind) {
                return {candidate, fields.value("message", ""), fields.value("remedy", "")};
            }
        }
    }
    for (const Error::Kind candidate : kinds) {
        if (status_of(candidate) == status) return {candidate, "answered " + std::to_string(status), {}};
    }
    return {Error::Kind::internal, "answered " + std::to_string(status), {}};
}

}  // namespace havn::rpc
