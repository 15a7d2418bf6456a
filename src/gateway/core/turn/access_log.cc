#include "gateway/core/turn/access_log.h"

#include <array>
#include <charconv>

#include "base/text/utf8.h"
#include "base/wall_time.h"

namespace havn::gateway {
namespace {

void append_number(std::string& out, std::uint64_t value) {
    char digits[20];
    const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value);
    out.append(digits, static_cast<std::size_t>(end.ptr - digits));
}

void append_text_field(std::string& out, std::string_view key, std::string_view value) {
    out += key;
    append_json_text(out, value);
    out += '"';
}

// Characters that stand for themselves in a JSON text. A table, as every byte of every line is looked up.
constexpr std::array<bool, 256> plain_characters = [] {
    std::array<bool, 256> plain{};
    for (std::size_t c = 0x20; c < 0x7f; ++c) plain[c] = c != '"' && c != '\\';
    return plain;
}();

std::size_t plain_prefix(std::string_view text) {
    std::size_t size = 0;
    while (size < text.size() && plain_characters[static_cast<unsigned char>(text[size])]) ++size;
    return size;
}

}  // namespace

void append_json_text(std::string& out, std::string_view text) {
    constexpr std::string_view hex = "0123456789abcdef";
    while (!text.empty()) {
        const std::size_t plain = plain_prefix(text);
        out.append(text.data(), plain);
        text.remove_prefix(plain);
        if (text.empty()) return;
        const auto c = static_cast<unsigned char>(text.front());
        std::size_t size = 1;
        if (c == '"' || c == '\\') {
            out += '\\';
            out += text.front();
        } else if (c < 0x80) {
            out += "\\u00";
            out += hex[c >> 4];
            out += hex[c & 15];
        } else if ((size = utf8_size(text)) > 0) {
            out.append(text.data(), size);
        } else {
            out += "\\ufffd";
            size = 1;
        }
        text.remove_prefix(size);
    }
}

void append_line(std::string& out, const AccessRecord& record) {
    append_text_field(out, "{\"time\":\"", record.time);
    append_text_field(out, ",\"id\":\"", record.id);
    append_text_field(out, ",\"client\":\"", record.client);
    append_text_field(out, ",\"method\":\"", record.method);
    append_text_field(out, ",\"host\":\"", record.host);
    append_text_field(out, ",\"target\":\"", record.target);
    out += ",\"status\":";
    append_number(out, record.status);
    out += ",\"bytes_in\":";
    append_number(out, record.bytes_in);
    out += ",\"bytes_out\":";
    append_number(out, record.bytes_out);
    const auto us = std::chrono::duration_cast<microseconds>(record.duration).count();
    const auto micros = static_cast<std::uint64_t>(us < 0 ? 0 : us);
    out += ",\"duration_ms\":";
    append_number(out, micros / 1000);
    const auto rest = static_cast<unsigned>(micros % 1000);
    const char fraction[4] = {'.', static_cast<char>('0' + rest / 100),
                              static_cast<char>('0' + rest / 10 % 10), static_cast<char>('0' + rest % 10)};
    out.append(fraction, 4);
    append_text_field(out, ",\"route\":\"", record.route);
    if (!record.upstream.empty()) append_text_field(out, ",\"upstream\":\"", record.upstream);
    if (!record.cause.empty()) append_text_field(out, ",\"cause\":\"", record.cause);
    out += "}\n";
}

}  // namespace havn::gateway
