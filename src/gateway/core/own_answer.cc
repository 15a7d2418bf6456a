#include "gateway/core/own_answer.h"

#include <fmt/format.h>

#include <utility>

#include "gateway/core/turn/access_log.h"
#include "wire/http1/write.h"

namespace havn::gateway {

void OwnAnswer::clear() {
    body_ = cause_ = {};
    if (text_.capacity() > kept_bytes_max) std::string().swap(text_);
    text_.clear();
    lines_.clear();
}

void OwnAnswer::set(std::uint16_t status, std::string_view type, std::string_view body,
                    std::string_view extra) {
    cause_ = {};
    body_ = body;
    lines_.clear();
    http1::write_status_line(lines_, status);
    http1::write_header(lines_, "Date", clock_.http_date());
    if (!type.empty()) http1::write_header(lines_, "Content-Type", type);
    if (status != 204) http1::write_header(lines_, "Content-Length", body.size());
    lines_ += extra;
    lines_ += "\r\n";
    head_.status = status;
}

void OwnAnswer::set_kept(std::uint16_t status, std::string_view type, std::string body,
                         std::string_view extra) {
    text_ = std::move(body);
    set(status, type, text_, extra);
}

void OwnAnswer::error(std::uint16_t status, std::string_view cause, std::string_view message,
                      std::string_view extra) {
    std::string text =
        fmt::format("{{\"error\":{{\"status\":{},\"cause\":\"{}\",\"message\":\"", status, cause);
    append_json_text(text, message);
    text += "\"}}\n";
    set_kept(status, "application/json", std::move(text), extra);
    cause_ = cause;
}

const Response& OwnAnswer::response(http1::Method method) {
    http1::parse_response_head(lines_, headers_, head_);
    const bool no_body = method == http1::Method::head || head_.status == 204;
    facts_ = {};
    facts_.body = no_body ? http1::Framing{} : http1::Framing{http1::Framing::Kind::length, body_.size()};
    response_ = {.head = &head_,
                 .facts = &facts_,
                 .raw = lines_,
                 .body = {.bytes = no_body ? std::string_view() : body_, .last = true},
                 .own = true};
    return response_;
}

}  // namespace havn::gateway
