#include "manifest/values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "base/assert.h"
#include "base/overloaded.h"
#include "base/text/ascii.h"
#include "base/text/units.h"
#include "manifest/syntax/amqp_url.h"
#include "manifest/syntax/forms.h"

namespace havn::manifest {
namespace {

std::optional<std::int64_t> duration_count(std::string_view text) {
    const Result<milliseconds> parsed = parse_duration(text);
    if (!parsed) return std::nullopt;
    return parsed->count();
}
std::optional<std::int64_t> size_count(std::string_view text) {
    const Result<std::uint64_t> parsed = parse_size(text);
    if (!parsed) return std::nullopt;
    return static_cast<std::int64_t>(*parsed);
}

bool is_count(std::string_view text) {
    return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == text.npos;
}

// A bare number for a size: bytes if that many are allowed, else the unit that makes it so.
std::string likely_size(const Key& key, std::int64_t number) {
    for (const char* unit : {"B", "K", "M", "G"}) {
        const auto size = size_count(fmt::format("{}{}", number, unit));
        if (size && *size >= key.min && *size <= key.max) return fmt::format("\"{}{}\"", number, unit);
    }
    return std::string(key.example);
}

// What a person most likely meant, as it must be written: the example when there is no telling.
std::string likely(const Key& key, const Node& node) {
    const auto* number = std::get_if<std::int64_t>(&node.value);
    const auto* text = std::get_if<std::string>(&node.value);
    const bool counts = (number && *number >= 0) || (text && is_count(*text));
    if (counts && key.type == Type::integer && text) return *text;
    if (counts && key.type == Type::duration) {
        return fmt::format("\"{}s\"", number ? std::to_string(*number) : *text);
    }
    if (counts && key.type == Type::size) {
        return likely_size(key, number ? *number : std::stol(*text));
    }
    if (text && key.type == Type::texts && (!key.valid || key.valid(*text))) {
        return "[" + toml_text(*text) + "]";
    }
    return std::string(key.example);
}

// A text that only needs another spelling to be valid: "get" → "GET", ":8080" → "0.0.0.0:8080".
std::string respelled(const Key& key, const std::string& text) {
    if (text.empty()) return std::string(key.example);
    std::vector<std::string> guesses{ascii_upper(text), ascii_lower(text)};
    if (!text.contains(' ')) guesses.insert(guesses.end(), {"/" + text, "0.0.0.0" + text, "0.0.0.0:" + text});
    if (text.starts_with("*:")) guesses.push_back("0.0.0.0" + text.substr(1));
    if (text.starts_with("localhost:")) guesses.push_back("127.0.0.1" + text.substr(9));
    for (const std::string& guess : guesses) {
        if (key.valid && key.valid(guess)) return toml_text(guess);
    }
    return std::string(key.example);
}

Problem wrong(const Key& key, const Node& node, std::string hint) {
    return {node.place, fmt::format("`{}` is {}, but must be {}", key.name, found(node), allowed(key)),
            hint.empty() ? "" : fmt::format("write {} = {}", key.name, hint)};
}

Problem wrong(const Key& key, const Node& node) {
    return wrong(key, node, likely(key, node));
}

// An item of a list: the hint shows the item alone.
Problem wrong_item(const Key& key, const Node& item, const std::string& hint) {
    const auto each = key.type == Type::integers
                          ? fmt::format("a whole number from {} to {}", key.min, key.max)
                      : key.allowed.empty() ? std::string("a text")
                                            : std::string(key.allowed);
    return {item.place, fmt::format("`{}` has {}, but each must be {}", key.name, found(item), each),
            hint.empty() ? "" : "write " + hint};
}

template <class Store>
std::optional<Problem> read_whole(const Key& key, const Node& node, Store store) {
    const auto* number = std::get_if<std::int64_t>(&node.value);
    if (!number) return wrong(key, node);
    if (*number < key.min || *number > key.max) return wrong(key, node, "");
    store(*number);
    return std::nullopt;
}

// A duration or a size, in milliseconds or bytes.
template <class Parse, class Store>
std::optional<Problem> read_measured(const Key& key, const Node& node, Parse parse, Store store) {
    const auto* text = std::get_if<std::string>(&node.value);
    if (!text) return wrong(key, node);
    const auto parsed = parse(*text);
    if (!parsed) return wrong(key, node);
    if (*parsed < key.min || *parsed > key.max) return wrong(key, node, "");
    store(*parsed);
    return std::nullopt;
}

std::optional<Problem> read_number(const Key& key, const Node& node, std::optional<double>& slot) {
    double number = 0;
    if (const auto* whole = std::get_if<std::int64_t>(&node.value)) {
        number = static_cast<double>(*whole);
    } else if (const auto* real = std::get_if<double>(&node.value)) {
        number = *real;
    } else {
        return wrong(key, node);
    }
    if (!(number > static_cast<double>(key.min) && number <= static_cast<double>(key.max))) {
        return wrong(key, node, "");
    }
    slot = number;
    return std::nullopt;
}

std::optional<Problem> read_text(const Key& key, const Node& node, std::string& slot) {
    const auto* text = std::get_if<std::string>(&node.value);
    if (!text) return wrong(key, node);
    if (key.valid == is_amqp_url) {
        if (const Result<AmqpUrl> url = parse_amqp_url(*text); !url) {
            return Problem{node.place,
                           fmt::format("`{}` is {}: {}", key.name, found(node), url.error().message),
                           url.error().remedy};
        }
    } else if (key.valid && !key.valid(*text)) {
        return wrong(key, node, respelled(key, *text));
    }
    slot = *text;
    return std::nullopt;
}

std::optional<Problem> read_texts(const Key& key, const Node& node, std::vector<std::string>& slot) {
    const auto* items = std::get_if<Node::Array>(&node.value);
    const std::int64_t count = !items ? 0 : static_cast<std::int64_t>(items->size());
    if (!items || count < key.min || count > key.max) return wrong(key, node);
    std::vector<std::string> texts;
    for (const Node& item : *items) {
        const auto* text = std::get_if<std::string>(&item.value);
        if (!text) return wrong_item(key, item, "");
        if (key.valid && !key.valid(*text)) {
            std::string guess = respelled(key, *text);
            return wrong_item(key, item, guess == key.example ? "" : guess);
        }
        if (std::ranges::find(texts, *text) != texts.end()) {
            return Problem{item.place, fmt::format("`{}` names {} twice", key.name, toml_text(*text)),
                           "remove one"};
        }
        texts.push_back(*text);
    }
    slot = std::move(texts);
    return std::nullopt;
}

std::optional<Problem> read_integers(const Key& key, const Node& node, std::vector<std::uint32_t>& slot) {
    const auto* items = std::get_if<Node::Array>(&node.value);
    if (!items || items->size() > 1'000) return wrong(key, node);
    std::vector<std::uint32_t> numbers;
    for (const Node& item : *items) {
        const auto* number = std::get_if<std::int64_t>(&item.value);
        if (!number || *number < key.min || *number > key.max) return wrong_item(key, item, "");
        numbers.push_back(static_cast<std::uint32_t>(*number));
    }
    slot = std::move(numbers);
    return std::nullopt;
}

std::optional<Problem> read_env(const Key& key, const Node& node, std::map<std::string, std::string>& slot) {
    const auto* entries = std::get_if<Node::Table>(&node.value);
    if (!entries || static_cast<std::int64_t>(entries->size()) > key.max) return wrong(key, node);
    std::map<std::string, std::string> variables;
    for (const auto& [name, place, value] : *entries) {
        if (key.valid != is_variable && !key.valid(name)) {
            return Problem{place, fmt::format("{} is no name here", toml_text(name)),
                           "use " + std::string(key.allowed)};
        }
        if (key.valid == is_variable && !is_variable(name)) {
            return Problem{place, fmt::format("{} is no name of an environment variable", toml_text(name)),
                           "use letters, digits and _, not beginning with a digit"};
        }
        const auto* text = std::get_if<std::string>(&value.value);
        if (!text || text->contains('\0')) {
            return Problem{value.place, fmt::format("`{}` is {}, but must be a text", name, found(value)),
                           fmt::format("put it in quotes: {} = \"…\"", name)};
        }
        variables[name] = *text;
    }
    slot = std::move(variables);
    return std::nullopt;
}

std::optional<Problem> read_backoff(const Key& key, const Node& node, Backoff& slot) {
    const auto* text = std::get_if<std::string>(&node.value);
    if (!text) return wrong(key, node);
    const std::size_t dots = text->find("..");
    const auto first = duration_count(text->substr(0, dots));
    const auto last = dots == text->npos ? first : duration_count(text->substr(dots + 2));
    if (!first || !last || *first > *last || *last > key.max) {
        return wrong(key, node, std::string(key.example));
    }
    slot = {milliseconds(*first), milliseconds(*last)};
    return std::nullopt;
}

template <class Choice>
std::optional<Problem> read_choice(const Key& key, const Node& node, Choice& slot) {
    const auto* text = std::get_if<std::string>(&node.value);
    const std::vector<std::string> names = split(key.choices, '|');
    const auto at = !text ? names.end() : std::ranges::find(names, *text);
    if (at == names.end()) return wrong(key, node, "");
    using Enum = std::conditional_t<std::is_enum_v<Choice>, Choice, Balance>;
    slot = static_cast<Enum>(at - names.begin());
    return std::nullopt;
}

template <class Enum>
Json choice_name(const Key& key, Enum value) {
    return split(key.choices, '|')[static_cast<std::size_t>(value)];
}

std::string backoff_text(const Backoff& value) {
    return format_duration(value.min) + ".." + format_duration(value.max);
}

}  // namespace

std::optional<Problem> read_value(const Key& key, const Node& node, Slot slot) {
    using Found = std::optional<Problem>;
    return std::visit(
        Overloaded{
            [&](std::string* at) { return read_text(key, node, *at); },
            [&](std::uint32_t* at) {
                return read_whole(key, node, [&](std::int64_t n) { *at = static_cast<std::uint32_t>(n); });
            },
            [&](std::uint64_t* at) {
                return read_measured(key, node, size_count,
                                     [&](std::int64_t n) { *at = static_cast<std::uint64_t>(n); });
            },
            [&](std::optional<std::uint64_t>* at) {
                return read_measured(key, node, size_count,
                                     [&](std::int64_t n) { *at = static_cast<std::uint64_t>(n); });
            },
            [&](std::optional<double>* at) { return read_number(key, node, *at); },
            [&](milliseconds* at) {
                return read_measured(key, node, duration_count,
                                     [&](std::int64_t n) { *at = milliseconds(n); });
            },
            [&](std::optional<milliseconds>* at) {
                return read_measured(key, node, duration_count,
                                     [&](std::int64_t n) { *at = milliseconds(n); });
            },
            [&](std::vector<std::string>* at) { return read_texts(key, node, *at); },
            [&](std::vector<std::uint32_t>* at) { return read_integers(key, node, *at); },
            [&](std::map<std::string, std::string>* at) { return read_env(key, node, *at); },
            [&](Backoff* at) { return read_backoff(key, node, *at); },
            [&](auto* choice) -> Found { return read_choice(key, node, *choice); },
        },
        slot);
}

Json value_of(const Key& key, Slot slot) {
    return std::visit(
        Overloaded{
            [](std::string* at) { return at->empty() ? Json() : Json(*at); },
            [](std::uint32_t* at) { return Json(*at); },
            [](std::uint64_t* at) { return Json(format_size(*at)); },
            [](std::optional<std::uint64_t>* at) { return *at ? Json(format_size(**at)) : Json(); },
            [](std::optional<double>* at) { return *at ? Json(**at) : Json(); },
            [](milliseconds* at) { return Json(format_duration(*at)); },
            [](std::optional<milliseconds>* at) { return *at ? Json(format_duration(**at)) : Json(); },
            [](std::vector<std::string>* at) { return Json(*at); },
            [](std::vector<std::uint32_t>* at) { return Json(*at); },
            [](std::map<std::string, std::string>* at) { return Json(*at); },
            [](Backoff* at) { return *at == Backoff{} ? Json() : Json(backoff_text(*at)); },
            [&](std::optional<Balance>* at) { return *at ? choice_name(key, **at) : Json(); },
            [&](auto* choice) { return choice_name(key, *choice); },
        },
        slot);
}

std::string allowed(const Key& key) {
    const auto range = [&](std::string_view noun, auto&& write) {
        return fmt::format("{} from {} to {}", noun, write(key.min), write(key.max));
    };
    const auto plain = [](std::int64_t n) { return std::to_string(n); };
    switch (key.type) {
        case Type::integer:
            return range("a whole number", plain);
        case Type::integers:
            return range("a list of whole numbers", plain);
        case Type::number:
            return fmt::format("a number above {}, at most {}", key.min, key.max);
        case Type::duration:
            return range("a duration",
                         [](std::int64_t n) { return "\"" + format_duration(milliseconds(n)) + "\""; });
        case Type::size:
            return range("a size", [](std::int64_t n) {
                return "\"" + format_size(static_cast<std::uint64_t>(n)) + "\"";
            });
        case Type::backoff:
            return fmt::format("two durations, the shorter first, such as {}, up to \"{}\"", key.example,
                               format_duration(milliseconds(key.max)));
        case Type::texts: {
            const auto most =
                fmt::format("{} {} texts", key.min > 0 ? "a list of 1 to" : "a list of at most", key.max);
            return key.allowed.empty() ? most : fmt::format("{}: {}", most, key.allowed);
        }
        case Type::env:
            return fmt::format("a table of texts such as {}", key.example);
        case Type::choice:
            return fmt::format("\"{}\"", fmt::join(split(key.choices, '|'), "\" or \""));
        case Type::text:
            return key.allowed.empty() ? "a text" : std::string(key.allowed);
    }
    HAVN_ASSERT(false, "every type is named");
}

Json default_of(const Key& key, std::string_view pattern) {
    Manifest scratch;
    std::vector<const Section*> path;
    for (std::string_view at = pattern; !at.empty(); at = section(at).parent) {
        path.insert(path.begin(), &section(at));
    }
    Target target = &scratch;
    for (const Section* step : path) target = step->open(target, "x");
    return value_of(key, key.slot(target));
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (true) {
        const std::size_t at = text.find(separator);
        parts.emplace_back(text.substr(0, at));
        if (at == text.npos) return parts;
        text.remove_prefix(at + 1);
    }
}

}  // namespace havn::manifest
