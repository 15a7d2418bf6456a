#include "broker/core/queue/topic_tree.h"

#include <algorithm>

namespace havn::broker {

struct TopicTree::Node {
    NameMap<std::unique_ptr<Node>> words;
    std::unique_ptr<Node> star, hash;
    std::vector<Binding*> bindings;  // whose pattern ends here
    std::uint64_t entered = 0;
    bool stays = false;  // reached by `#`: any further word leads here again

    bool useless() const { return words.empty() && !star && !hash && bindings.empty(); }
};

namespace {

// Takes the first word off `rest`; `last` tells that nothing follows, not even an empty word.
std::string_view take_word(std::string_view& rest, bool& last) {
    const std::size_t dot = rest.find('.');
    const std::string_view word = rest.substr(0, dot);
    last = dot == std::string_view::npos;
    rest = last ? std::string_view{} : rest.substr(dot + 1);
    return word;
}

}  // namespace

TopicTree::TopicTree() : root_(std::make_unique<Node>()) {}
TopicTree::~TopicTree() = default;
TopicTree::TopicTree(TopicTree&&) noexcept = default;
TopicTree& TopicTree::operator=(TopicTree&&) noexcept = default;

TopicTree::Node* TopicTree::reach(std::string_view pattern) {
    Node* node = root_.get();
    // The empty key has no words at all, so the empty pattern ends at the root.
    for (bool last = pattern.empty(); !last;) {
        const std::string_view word = take_word(pattern, last);
        std::unique_ptr<Node>& child = word == "*"   ? node->star
                                       : word == "#" ? node->hash
                                                     : node->words[std::string(word)];
        if (!child) {
            child = std::make_unique<Node>();
            child->stays = word == "#";
        }
        node = child.get();
    }
    return node;
}

void TopicTree::add(std::string_view pattern, Binding* binding) {
    reach(pattern)->bindings.push_back(binding);
}

void TopicTree::remove(std::string_view pattern, Binding* binding) {
    remove_from(*root_, pattern, pattern.empty(), binding);
}

// Whether `node` is of no use any more.
bool TopicTree::remove_from(Node& node, std::string_view rest, bool at_end, Binding* binding) {
    if (at_end) {
        std::erase(node.bindings, binding);
        return node.useless();
    }
    bool last = false;
    const std::string_view word = take_word(rest, last);
    if (word == "*" || word == "#") {
        std::unique_ptr<Node>& child = word == "*" ? node.star : node.hash;
        if (child && remove_from(*child, rest, last, binding)) child.reset();
    } else if (const auto found = node.words.find(word); found != node.words.end()) {
        if (remove_from(*found->second, rest, last, binding)) node.words.erase(found);
    }
    return node.useless();
}

// `#` stands for no word as well: entering a node enters the `#` below it.
void TopicTree::enter(Node* node, std::uint64_t step, std::vector<Node*>& places) {
    for (; node && node->entered != step; node = node->hash.get()) {
        node->entered = step;
        places.push_back(node);
    }
}

void TopicTree::match(std::string_view key, std::vector<Binding*>& found) {
    now_.clear();
    enter(root_.get(), ++step_, now_);
    for (bool last = key.empty(); !last && !now_.empty();) {
        const std::string_view word = take_word(key, last);
        next_.clear();
        ++step_;
        for (Node* node : now_) {
            if (node->stays) enter(node, step_, next_);
            enter(node->star.get(), step_, next_);
            if (const auto child = node->words.find(word); child != node->words.end()) {
                enter(child->second.get(), step_, next_);
            }
        }
        std::swap(now_, next_);
    }
    for (const Node* node : now_) found.insert(found.end(), node->bindings.begin(), node->bindings.end());
}

}  // namespace havn::broker
