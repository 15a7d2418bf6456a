#include "broker/core/protocol/unique_names.h"

namespace havn::broker {

std::string UniqueNames::next(std::string_view prefix) {
    static constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::uint64_t mixed[2] = {salt_, ++given_};
    for (std::uint64_t& word : mixed) {  // splitmix64's finaliser: one to one, and no two look alike
        word += 0x9E3779B97F4A7C15u;
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
        word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
        word ^= word >> 31;
    }
    mixed[0] ^= mixed[1];
    std::string name(prefix);
    for (std::uint64_t word : mixed) {
        for (int i = 0; i < 11; ++i, word >>= 6) name.push_back(letters[word & 63]);
    }
    return name;
}

}  // namespace havn::broker
