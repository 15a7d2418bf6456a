#include "broker/core/queue/topic_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>
#include <sstream>

#include "broker/core/queue/exchange.h"

namespace havn::broker {
namespace {

std::vector<std::string> words(const std::string& text) {
    std::vector<std::string> words;
    if (text.empty()) return words;
    std::string word;
    for (const char c : text + ".") {
        if (c != '.') {
            word += c;
        } else {
            words.push_back(word);
            word.clear();
        }
    }
    return words;
}

// The definition, as directly as it can be said.
bool fits(std::span<const std::string> pattern, std::span<const std::string> key) {
    if (pattern.empty()) return key.empty();
    if (pattern[0] == "#") {
        return fits(pattern.subspan(1), key) || (!key.empty() && fits(pattern, key.subspan(1)));
    }
    return !key.empty() && (pattern[0] == "*" || pattern[0] == key[0]) &&
           fits(pattern.subspan(1), key.subspan(1));
}

bool matches(const std::string& pattern, const std::string& key) {
    TopicTree tree;
    Binding binding;
    tree.add(pattern, &binding);
    std::vector<Binding*> found;
    tree.match(key, found);
    EXPECT_LE(found.size(), 1u) << "each once";
    return !found.empty();
}

struct TopicCase {
    const char *pattern, *key;
    bool fits;
};

TEST(ATopicPattern, fits_as_the_specification_says) {
    for (const auto& [pattern, key, expected] : {
             TopicCase{"a.b.c", "a.b.c", true},
             {"a.b.c", "a.b", false},
             {"a.b", "a.b.c", false},
             {"a.*.c", "a.b.c", true},
             {"a.*.c", "a.c", false},
             {"*", "", false},
             {"*", "a", true},
             {"#", "", true},
             {"#", "a.b.c", true},
             {"a.#", "a", true},
             {"a.#", "a.b.c", true},
             {"#.c", "a.b.c", true},
             {"#.c", "c", true},
             {"#.b.#", "a.b.c", true},
             {"#.b.#", "a.c", false},
             {"#.#", "", true},
             {"#.*", "", false},
             {"*.#.*", "a.b", true},
             {"*.#.*", "a", false},
             {"", "", true},
             {"", "a", false},
             {"a..b", "a..b", true},
             {"a.*.b", "a..b", true},
         }) {
        EXPECT_EQ(matches(pattern, key), expected) << pattern << " / " << key;
        EXPECT_EQ(fits(words(pattern), words(key)), expected) << "the model: " << pattern << " / " << key;
    }
}

TEST(ATopicTree, agrees_with_the_definition_for_many_patterns_at_once) {
    std::mt19937 random(4711);
    const auto text = [&](const std::vector<std::string>& alphabet, std::size_t most) {
        std::string text;
        const std::size_t count = random() % (most + 1);
        for (std::size_t i = 0; i < count; ++i) text += (i ? "." : "") + alphabet[random() % alphabet.size()];
        return text;
    };
    std::vector<std::string> patterns;
    std::vector<Binding> bindings(300);
    TopicTree tree;
    for (Binding& binding : bindings) {
        patterns.push_back(text({"a", "b", "*", "#"}, 6));
        tree.add(patterns.back(), &binding);
    }
    for (std::size_t i = 0; i < bindings.size(); i += 3) tree.remove(patterns[i], &bindings[i]);
    for (int round = 0; round < 500; ++round) {
        const std::string key = text({"a", "b", "c"}, 7);
        std::vector<Binding*> found, expected;
        tree.match(key, found);
        for (std::size_t i = 0; i < bindings.size(); ++i) {
            if (i % 3 != 0 && fits(words(patterns[i]), words(key))) expected.push_back(&bindings[i]);
        }
        std::ranges::sort(found);
        std::ranges::sort(expected);
        EXPECT_EQ(found, expected) << key;
    }
}

TEST(ATopicTree, does_not_slow_down_with_many_hashes) {
    TopicTree tree;
    Binding binding;
    std::string pattern = "#", key = "a";
    for (int i = 0; i < 30; ++i) pattern += ".a.#", key += ".a";
    tree.add(pattern + ".b", &binding);
    std::vector<Binding*> found;
    tree.match(key, found);  // 2^30 ways for a search that tries them one by one
    EXPECT_TRUE(found.empty());
    tree.match(key + ".b", found);
    EXPECT_EQ(found.size(), 1u);
}

}  // namespace
}  // namespace havn::broker
