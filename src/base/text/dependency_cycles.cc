#include "base/text/dependency_cycles.h"

#include <algorithm>
#include <map>

namespace havn {
namespace {

class Search {
  public:
    using NextOf = std::function<std::vector<std::string_view>(std::string_view)>;

    Search(std::span<const std::string_view> names, const NextOf& next_of) : next_of_(next_of) {
        for (const std::string_view name : names) states_.emplace(name, State::unseen);
    }

    void follow(std::string_view name) {
        if (states_.at(name) == State::done) return;
        states_.at(name) = State::on_trail;
        trail_.push_back(name);
        for (const std::string_view next : next_of_(name)) {
            const auto state = states_.find(next);
            if (state == states_.end()) continue;
            if (state->second == State::on_trail) {
                cycles_.emplace_back(std::ranges::find(trail_, next), trail_.end());
            } else {
                follow(next);
            }
        }
        trail_.pop_back();
        states_.at(name) = State::done;
    }

    std::vector<std::vector<std::string_view>> take() { return std::move(cycles_); }

  private:
    enum class State { unseen, on_trail, done };

    const NextOf& next_of_;  // the caller's, who outlives the search
    std::map<std::string_view, State> states_;
    std::vector<std::string_view> trail_;  // from where the search began to where it is
    std::vector<std::vector<std::string_view>> cycles_;
};

}  // namespace

std::vector<std::vector<std::string_view>> find_cycles(
    std::span<const std::string_view> names,
    const std::function<std::vector<std::string_view>(std::string_view)>& next_of) {
    Search search(names, next_of);
    for (const std::string_view name : names) search.follow(name);
    return search.take();
}

}  // namespace havn
