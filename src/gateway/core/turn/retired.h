// Objects that are done with while their own code may still be running: they are destroyed at the end of the
// turn, by whoever owns the loop.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace havn::gateway {

class Retirable {
  public:
    virtual ~Retirable() = default;
};

class Retired {
  public:
    void add(std::unique_ptr<Retirable> object) { objects_.push_back(std::move(object)); }

    // What is retired while others are destroyed waits for the next call.
    void destroy() {
        if (objects_.empty()) return;
        destroying_.swap(objects_);
        destroying_.clear();
    }

  private:
    std::vector<std::unique_ptr<Retirable>> objects_, destroying_;
};

}  // namespace havn::gateway
