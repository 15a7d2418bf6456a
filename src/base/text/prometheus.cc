#include "base/text/prometheus.h"

#include <fmt/format.h>

#include <iterator>

#include "base/text/utf8.h"

namespace havn::prometheus {

namespace {

void append_label_value(std::string& out, std::string_view value) {
    while (!value.empty()) {
        const char c = value.front();
        std::size_t size = utf8_size(value);
        if (c == '\n') {
            out += "\\n";
        } else if (size == 0) {
            out += utf8_replacement;
            size = 1;
        } else {
            if (c == '\\' || c == '"') out += '\\';
            out += value.substr(0, size);
        }
        value.remove_prefix(size);
    }
}

}  // namespace

void Writer::family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void Writer::begin_sample(std::initializer_list<Label> labels, std::string_view suffix) {
    text_.append(name_).append(suffix);
    char before = '{';
    for (const Label& label : labels) {
        text_ += before;
        text_.append(label.name).append("=\"");
        append_label_value(text_, label.value);
        text_ += '"';
        before = ',';
    }
    text_ += before == ',' ? "} " : " ";
}

void Writer::sample(std::initializer_list<Label> labels, std::uint64_t value, std::string_view suffix) {
    begin_sample(labels, suffix);
    fmt::format_to(std::back_inserter(text_), "{}\n", value);
}

void Writer::sample(std::initializer_list<Label> labels, double value, std::string_view suffix) {
    begin_sample(labels, suffix);
    fmt::format_to(std::back_inserter(text_), "{}\n", value);
}

void Writer::value(std::string_view name, std::string_view type, std::string_view help,
                   std::uint64_t the_value) {
    family(name, type, help);
    sample({}, the_value);
}

}  // namespace havn::prometheus
