// The tables of HTTP/1.1: methods, the fields a proxy or server acts on, reasons of status codes, and the
// rules a message can break with the status that answers each. RFC 9110, RFC 9112. Nothing is typed twice:
// an enumerator is the index of its row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace havn::http1 {

enum class Method : std::uint8_t { other, get, head, post, put, delete_, connect, options, trace, patch };

struct MethodRow {
    std::string_view text;
    bool idempotent;  // RFC 9110 §9.2.2
};
inline constexpr std::array<MethodRow, 10> methods{{{"", false},
                                                    {"GET", true},
                                                    {"HEAD", true},
                                                    {"POST", false},
                                                    {"PUT", true},
                                                    {"DELETE", true},
                                                    {"CONNECT", false},
                                                    {"OPTIONS", true},
                                                    {"TRACE", true},
                                                    {"PATCH", false}}};

constexpr const MethodRow& row(Method method) {
    return methods[static_cast<std::size_t>(method)];
}
Method find_method(std::string_view text);  // case matters; `other` when not in the table

// Fields that mean something to whoever handles the message; all the rest are `other` and pass through.
enum class Field : std::uint8_t {
    other,
    host,
    connection,
    keep_alive,
    proxy_connection,
    te,
    trailer,
    transfer_encoding,
    upgrade,
    content_length,
    content_type,
    expect,
    max_forwards,
    via,
    forwarded,
    x_forwarded_for,
    x_forwarded_proto,
    x_forwarded_host,
    x_real_ip,
    x_request_id,
    user_agent,
    referer,
    authorization,
    cookie,
    accept,
    accept_encoding,
    date,
    server,
};

struct FieldRow {
    std::string_view name;  // lower case
    bool hop_by_hop;        // never forwarded, named in Connection or not: RFC 9110 §7.6.1
};
inline constexpr std::array<FieldRow, 28> fields{{{"", false},
                                                  {"host", false},
                                                  {"connection", true},
                                                  {"keep-alive", true},
                                                  {"proxy-connection", true},
                                                  {"te", true},
                                                  {"trailer", true},
                                                  {"transfer-encoding", true},
                                                  {"upgrade", true},
                                                  {"content-length", false},
                                                  {"content-type", false},
                                                  {"expect", false},
                                                  {"max-forwards", false},
                                                  {"via", false},
                                                  {"forwarded", false},
                                                  {"x-forwarded-for", false},
                                                  {"x-forwarded-proto", false},
                                                  {"x-forwarded-host", false},
                                                  {"x-real-ip", false},
                                                  {"x-request-id", false},
                                                  {"user-agent", false},
                                                  {"referer", false},
                                                  {"authorization", false},
                                                  {"cookie", false},
                                                  {"accept", false},
                                                  {"accept-encoding", false},
                                                  {"date", false},
                                                  {"server", false}}};

constexpr const FieldRow& row(Field field) {
    return fields[static_cast<std::size_t>(field)];
}
Field find_field(std::string_view name);  // case does not matter

std::string_view reason(unsigned status);  // "Not Found"; "Unknown" when not registered

enum class Rule : std::uint8_t {
    none,
    request_line,
    target,
    version,
    bare_cr,
    bare_lf,
    header_name,
    space_before_colon,
    obs_fold,
    header_value,
    header_count,
    status_line,
    host_missing,
    host_repeated,
    host_invalid,
    length_invalid,
    length_repeated,
    length_and_coding,
    coding_in_1_0,
    coding_invalid,
    coding_unknown,
    chunk_size,
    chunk_extension,
    chunk_end,
    trailer,
    connection_options,
};

struct RuleRow {
    std::uint16_t status;   // for a request; a response that breaks a rule is a 502 to whoever asked
    std::string_view text;  // completes "the message was refused: …"
};
const RuleRow& row(Rule rule);

bool is_token(std::string_view text);                              // RFC 9110 §5.6.2, not empty
bool equal_ignoring_case(std::string_view a, std::string_view b);  // ASCII

}  // namespace havn::http1
