// Topic patterns: words between dots, `*` for one word, `#` for any number of them.
//
// All patterns of an exchange are one tree, walked once per routing key with the set of places reached so
// far: the work is bounded by words times places, however many `#` the patterns have.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/name_map.h"

namespace havn::broker {

struct Binding;  // as opaque as any pointer: the tree never looks at one

// Bindings belong to their exchange, which removes one here before it destroys it.
class TopicTree {
  public:
    TopicTree();
    ~TopicTree();
    TopicTree(TopicTree&&) noexcept;
    TopicTree& operator=(TopicTree&&) noexcept;

    void add(std::string_view pattern, Binding* binding);
    void remove(std::string_view pattern, Binding* binding);  // no-op when not there

    // Appends every binding whose pattern fits, each once.
    void match(std::string_view key, std::vector<Binding*>& found);

  private:
    struct Node;

    Node* reach(std::string_view pattern);
    bool remove_from(Node& node, std::string_view rest, bool at_end, Binding* binding);
    void enter(Node* node, std::uint64_t step, std::vector<Node*>& places);

    std::unique_ptr<Node> root_;
    std::uint64_t step_ = 0;  // grows with every word of every match: marks nodes as entered
    std::vector<Node*> now_, next_;
};

}  // namespace havn::broker
