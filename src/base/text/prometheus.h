// Prometheus' text format, version 0.0.4: what stands behind every /metrics.
//
// A family is begun once, with its HELP and TYPE; its samples follow. Names are the program's and must be
// [a-z_:][a-z0-9_:]*; the values of labels may be anybody's: they are escaped, and bytes that are no UTF-8
// become U+FFFD.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace havn::prometheus {

inline constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

struct Label {
    std::string_view name, value;
};

class Writer {
  public:
    // `type`: counter, gauge or histogram.
    void family(std::string_view name, std::string_view type, std::string_view help);

    // A sample of the family begun last; `suffix` as in "_bucket".
    void sample(std::initializer_list<Label> labels, std::uint64_t value, std::string_view suffix = {});
    void sample(std::initializer_list<Label> labels, double value, std::string_view suffix = {});

    // A family of one sample.
    void value(std::string_view name, std::string_view type, std::string_view help, std::uint64_t value);

    std::string take() { return std::move(text_); }

  private:
    void begin_sample(std::initializer_list<Label> labels, std::string_view suffix);

    std::string text_;
    std::string name_;
};

}  // namespace havn::prometheus
