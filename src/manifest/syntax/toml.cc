// The only place that knows toml++: its tree becomes ours. Costly to compile, so nothing else is here.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
// Its parser asserts on some text (`[$x]`) that it goes on to refuse properly; a typing error must not end
// us.
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>

#include "manifest/syntax/tree.h"

namespace havn::manifest {
namespace {

Place place_of(const toml::source_region& region, std::string_view file) {
    return {std::string(file), static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
}

Node node_of(const toml::node& node, std::string_view file);

// toml++ sorts by name; messages want the order of the text.
Node::Table entries_of(const toml::table& table, std::string_view file) {
    Node::Table entries;
    for (const auto& [key, value] : table) {
        entries.push_back({std::string(key.str()), place_of(key.source(), file), node_of(value, file)});
    }
    std::ranges::sort(entries, {}, [](const Entry& entry) { return std::tie(entry.place, entry.name); });
    return entries;
}

Node::Array items_of(const toml::array& array, std::string_view file) {
    Node::Array items;
    for (const auto& item : array) items.push_back(node_of(item, file));
    return items;
}

Node node_of(const toml::node& node, std::string_view file) {
    Node result{place_of(node.source(), file), {}};
    switch (node.type()) {
        case toml::node_type::string:
            result.value = node.as_string()->get();
            break;
        case toml::node_type::integer:
            result.value = node.as_integer()->get();
            break;
        case toml::node_type::floating_point:
            result.value = node.as_floating_point()->get();
            break;
        case toml::node_type::boolean:
            result.value = node.as_boolean()->get();
            break;
        case toml::node_type::array:
            result.value = items_of(*node.as_array(), file);
            break;
        case toml::node_type::table:
            result.value = entries_of(*node.as_table(), file);
            break;
        default:
            result.value = Node::Other{"a date or time"};
            break;
    }
    return result;
}

// What toml++ 3.3 must not be given, found by reading just enough TOML to know strings and comments apart:
// keys of many parts, because it recurses once per part, and letters beyond ASCII outside quotes, where its
// whitespace test has undefined behaviour.
class Precheck {
  public:
    explicit Precheck(std::string_view text) : text_(text) {
        if (text.starts_with("\xef\xbb\xbf")) at_ = 3;
    }

    static constexpr int parts_max = 8;

    struct Finding {
        std::size_t at;
        std::string message;
    };

    std::optional<Finding> find() {
        int parts = 1;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"' || c == '\'') {
                skip_string(c);
                continue;
            }
            if (c == '#') at_ = std::min(text_.find('\n', at_), text_.size() - 1);
            if (static_cast<unsigned char>(c) >= 0x80) {
                return Finding{at_, "letters beyond ASCII stand in quotes, in a key too"};
            }
            if (c == '.') {
                ++parts;
            } else if (std::string_view("\n={}[],#").contains(c)) {
                parts = 1;
            }
            if (parts > parts_max) {
                return Finding{at_, "a key has more than " + std::to_string(parts_max) + " parts"};
            }
            ++at_;
        }
        return std::nullopt;
    }

  private:
    // Past the string that begins here; \ escapes in "…" only, and three quotes end what three began.
    void skip_string(char quote) {
        const std::string_view rest = text_.substr(at_);
        const bool is_long = rest.size() >= 3 && rest[1] == quote && rest[2] == quote;
        at_ += is_long ? 3 : 1;
        for (; at_ < text_.size(); ++at_) {
            if (text_[at_] == '\\' && quote == '"') {
                ++at_;
            } else if (text_[at_] == '\n' && !is_long) {
                return;
            } else if (text_[at_] == quote &&
                       (!is_long || text_.substr(at_).starts_with(std::string(3, quote)))) {
                break;
            }
        }
        at_ = std::min(at_ + (is_long ? 3 : 1), text_.size());
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

SyntaxError syntax_error(std::string_view text, const Precheck::Finding& finding, std::string_view file) {
    const std::string_view before = text.substr(0, finding.at);
    const auto line = std::ranges::count(before, '\n') + 1;
    const std::size_t column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
    return {{std::string(file), static_cast<int>(line), static_cast<int>(column)}, finding.message};
}

}  // namespace

std::expected<Node, SyntaxError> parse_toml_tree(std::string_view text, std::string_view file) {
    if (const auto finding = Precheck(text).find()) {
        return std::unexpected(syntax_error(text, *finding, file));
    }
    const auto result = toml::parse(text);
    if (result.failed()) {
        const auto& error = result.error();
        return std::unexpected(SyntaxError{place_of(error.source(), file), std::string(error.description())});
    }
    return node_of(result.table(), file);
}

}  // namespace havn::manifest
