#include "gateway/core/job.h"

#include <algorithm>

namespace havn::gateway {

using http1::Field;
using http1::Header;

std::vector<std::pair<std::string, std::string>> job_headers(const JobRequest& request) {
    std::vector<std::pair<std::string, std::string>> headers;
    const auto add = [&](std::string_view name, std::string_view value) {
        headers.emplace_back(std::string(name), std::string(value));
    };
    const std::string_view target = request.facts.path;
    const std::size_t query = target.find('?');
    add("method", request.head.method_text);
    add("path", target.substr(0, query));
    add("query", query == std::string_view::npos ? std::string_view() : target.substr(query + 1));
    std::string forwarded;
    for (const Header& header : request.head.headers) {
        if (header.field == Field::x_forwarded_for && request.trusted && !header.value.empty()) {
            forwarded.append(header.value).append(", ");
        }
    }
    add("x-forwarded-for", forwarded.append(request.client));
    std::string_view id_name = "x-request-id";
    for (const std::string& wanted : request.route.headers) {
        if (http1::find_field(wanted) == Field::x_request_id) id_name = wanted;
    }
    add(id_name, request.request_id);
    for (const std::string& wanted : request.route.headers) {
        const auto is_wanted = [&](std::string_view name) {
            return http1::equal_ignoring_case(wanted, name);
        };
        const auto is_there = [&](const auto& pair) { return is_wanted(pair.first); };
        if (std::ranges::any_of(headers, is_there)) continue;
        std::string* value = nullptr;
        for (const Header& header : request.head.headers) {
            if (!is_wanted(header.name)) continue;
            if (value) {
                value->append(header.field == Field::cookie ? "; " : ", ").append(header.value);
            } else {
                add(wanted, header.value);
                value = &headers.back().second;
            }
        }
    }
    return headers;
}

}  // namespace havn::gateway
