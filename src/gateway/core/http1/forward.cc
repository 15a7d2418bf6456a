#include "gateway/core/http1/forward.h"

#include <cstring>

#include "wire/http1/characters.h"

namespace havn::gateway {

namespace {

using http1::Field;
using http1::Header;
using http1::Method;
using http1::SpanWriter;

// Copies header lines, neighbours in one go. A line ends where the next one begins, the last before the
// empty line that ends `raw`.
class LineCopier {
  public:
    LineCopier(SpanWriter& out, std::span<const Header> headers, std::string_view raw)
        : out_(out), headers_(headers), end_(raw.data() + raw.size() - 2) {}

    void keep(std::size_t i) {
        if (!run_) run_ = headers_[i].name.data();
    }
    void skip(std::size_t i) { flush(headers_[i].name.data()); }
    void finish() { flush(end_); }

  private:
    void flush(const char* to) {
        if (run_) out_.append(run_, static_cast<std::size_t>(to - run_));
        run_ = nullptr;
    }

    SpanWriter& out_;
    std::span<const Header> headers_;
    const char* end_;
    const char* run_ = nullptr;
};

bool is_replaced(const Header& header, const ForwardedRequest& request) {
    switch (header.field) {
        case Field::host:
            return request.facts.absolute;
        case Field::x_forwarded_for:
        case Field::x_forwarded_proto:
        case Field::x_forwarded_host:
        case Field::x_real_ip:
        case Field::x_request_id:
            return true;
        case Field::forwarded:
            return !request.trusted;
        case Field::expect:
            return !request.facts.expects_continue;
        case Field::max_forwards:
            return request.head.method == Method::options || request.head.method == Method::trace;
        default:
            return false;
    }
}

bool is_dropped(const Header& header, const ForwardedRequest& request) {
    if (http1::row(header.field).hop_by_hop || is_replaced(header, request)) return true;
    if (header.field != Field::other) {
        // Framing and routing stay what we read, whatever Connection says of them.
        return header.field != Field::host && header.field != Field::content_length &&
               request.facts.nominated.contains(header.name);
    }
    if (std::memchr(header.name.data(), '_', header.name.size())) return true;
    return request.facts.nominated.contains(header.name);
}

void write_list(SpanWriter& out, const ForwardedRequest& request, Field field) {
    for (const Header& header : request.head.headers) {
        if (header.field != field || header.value.empty()) continue;
        http1::write(out, header.value);
        http1::write(out, ", ");
    }
}

std::string_view first_value(const ForwardedRequest& request, Field field) {
    for (const Header& header : request.head.headers) {
        if (header.field == field) return header.value;
    }
    return {};
}

void write_own_fields(SpanWriter& out, const ForwardedRequest& request) {
    std::string_view real_ip, proto, host;
    if (request.trusted) {
        real_ip = first_value(request, Field::x_real_ip);
        proto = first_value(request, Field::x_forwarded_proto);
        host = first_value(request, Field::x_forwarded_host);
    }
    http1::write_header(out, "X-Real-IP", real_ip.empty() ? request.client : real_ip);
    http1::write(out, "X-Forwarded-For: ");
    if (request.trusted) write_list(out, request, Field::x_forwarded_for);
    http1::write(out, request.client);
    http1::write(out, "\r\nX-Forwarded-Proto: ");
    http1::write(out, proto.empty() ? std::string_view("http") : proto);
    http1::write(out, "\r\nX-Forwarded-Host: ");
    http1::write(out, !host.empty() ? host : request.facts.host);
    http1::write(out, "\r\nVia: 1.");
    http1::write(out, request.head.minor == 0 ? "0 havn\r\n" : "1 havn\r\n");
}

}  // namespace

bool write_upstream_head(SpanWriter& out, const ForwardedRequest& request) {
    const std::string_view host = request.facts.host.empty() ? request.authority : request.facts.host;
    http1::write_request_line(out, request.head.method_text, request.facts.path);
    if (request.facts.absolute || request.facts.host.empty()) http1::write_header(out, "Host", host);
    LineCopier lines(out, request.head.headers, request.raw);
    for (std::size_t i = 0; i < request.head.headers.size(); ++i) {
        const Header& header = request.head.headers[i];
        if (is_dropped(header, request)) {
            lines.skip(i);
            if (header.field != Field::max_forwards) continue;
            const std::expected<std::uint64_t, http1::Rule> left = http1::parse_length(header.value);
            if (left && *left > 0) http1::write_header(out, "Max-Forwards", *left - 1);
        } else {
            lines.keep(i);
        }
    }
    lines.finish();
    if (request.facts.body.kind == http1::Framing::Kind::chunked) {
        http1::write_header(out, "Transfer-Encoding", "chunked");
    }
    if (request.upgrade) {
        http1::write(out, "Connection: Upgrade\r\n");
        http1::write_header(out, "Upgrade", request.facts.upgrade);
    }
    write_own_fields(out, request);
    http1::write_header(out, "X-Request-Id", request.request_id);
    http1::write_head_end(out);
    return !out.overflowed();
}

namespace {

// Fields that are left out of a response, or written anew below.
bool is_dropped(const Header& header, const ForwardedResponse& response) {
    const unsigned status = response.head.status;
    switch (header.field) {
        case Field::content_length:
            return status < 200 || status == 204 || status == 205 || response.facts.folded_length;
        case Field::x_request_id:
            return !response.request_id.empty();
        default:
            return http1::row(header.field).hop_by_hop || response.facts.nominated.contains(header.name);
    }
}

// How the connection goes on.
void write_connection(SpanWriter& out, const ForwardedResponse& response) {
    std::string_view options = response.close ? "close" : response.keep_alive_1_0 ? "keep-alive" : "";
    if (response.upgrade) {
        options = "Upgrade";
        http1::write_header(out, "Upgrade", response.facts.upgrade);
    } else if (response.head.status == 426) {
        for (const Header& header : response.head.headers) {
            if (header.field != Field::upgrade) continue;
            options = response.close            ? "Upgrade, close"
                      : response.keep_alive_1_0 ? "Upgrade, keep-alive"
                                                : "Upgrade";
            http1::write_header(out, "Upgrade", header.value);
        }
    }
    if (!options.empty()) http1::write_header(out, "Connection", options);
}

}  // namespace

bool write_client_head(SpanWriter& out, const ForwardedResponse& response) {
    const http1::ResponseHead& head = response.head;
    http1::write_status_line(out, head.status, head.reason);
    LineCopier lines(out, head.headers, response.raw);
    for (std::size_t i = 0; i < head.headers.size(); ++i) {
        const Header& header = head.headers[i];
        const bool dropped = is_dropped(header, response);
        if (head.canonical) {
            dropped ? lines.skip(i) : lines.keep(i);
        } else if (!dropped) {
            http1::write_header(out, header.name, header.value);
        }
    }
    if (head.canonical) lines.finish();
    if (head.status == 205) {
        http1::write(out, "Content-Length: 0\r\n");
    } else if (response.facts.folded_length) {
        http1::write_header(out, "Content-Length", *response.facts.folded_length);
    }
    if (response.chunked) http1::write(out, "Transfer-Encoding: chunked\r\n");
    write_connection(out, response);
    if (!response.request_id.empty()) http1::write_header(out, "X-Request-Id", response.request_id);
    http1::write_head_end(out);
    return !out.overflowed();
}

}  // namespace havn::gateway
