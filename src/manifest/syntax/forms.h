// The forms a text in the manifest may have, and how each is called in messages.
#pragma once

#include <string>
#include <string_view>

namespace havn::manifest {

std::string_view trimmed(std::string_view text);  // without the blanks at both ends

// Letters, digits, and . _ - : up to 200, not beginning with "amq.".
inline constexpr std::string_view queue_form =
    "letters, digits and . _ - : up to 200, not beginning with amq.";
bool is_queue_name(std::string_view text);

inline constexpr std::string_view listen_form =
    "IP:PORT, such as \"0.0.0.0:8080\", \"127.0.0.1:8080\" or \"[::]:8080\"";
bool is_listen_address(std::string_view text);

inline constexpr std::string_view cidr_form = "IP or IP/BITS, such as \"10.0.0.0/8\"";
bool is_cidr(std::string_view text);

bool is_text(std::string_view text);          // not empty, no control character
bool is_command(std::string_view text);       // not blank, no line break or NUL
bool is_user(std::string_view text);          // as useradd takes them
bool is_variable(std::string_view text);      // [A-Za-z_][A-Za-z0-9_]*
bool is_jurisdiction(std::string_view text);  // two capitals
bool is_method(std::string_view text);        // capitals and -, RFC 9110 §9.1 in upper case
bool is_header_name(std::string_view text);   // a token, RFC 9110 §5.6.2
bool is_request_path(std::string_view text);  // begins with /, printable, may have a query
bool is_amqp_url(std::string_view text);

// A host of a route: labels of letters, digits and -, or "*." before them. At most 253 characters.
bool is_host(std::string_view text);
// A path of a route: begins with /, no query, no empty, "." or ".." segment, no *.
bool is_route_path(std::string_view text);
bool is_plainly_written_path(std::string_view text);  // no escape of ASCII, no ; or backslash

}  // namespace havn::manifest
