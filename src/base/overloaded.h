// One visitor for std::visit out of a function for each alternative.
#pragma once

namespace havn {

template <class... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};

}  // namespace havn
