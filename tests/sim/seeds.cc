#include "sim/seeds.h"

#include <gtest/gtest.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

namespace havn::sim {
namespace {

using std::chrono::steady_clock;

std::optional<std::uint64_t> number_of(const char* variable) {
    const char* const text = std::getenv(variable);
    if (!text || !*text) return std::nullopt;
    std::uint64_t number = 0;
    const std::string_view digits(text);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || end != digits.data() + digits.size()) {
        ADD_FAILURE() << variable << " is '" << text << "', which is no number";
        return std::nullopt;
    }
    return number;
}

std::string name_of_this() {
    const ::testing::TestInfo* const test = ::testing::UnitTest::GetInstance()->current_test_info();
    return std::string(test->test_suite_name()) + "." + test->name();
}

// True: go on.
bool run_one(std::uint64_t seed, const std::function<void(std::uint64_t)>& run) {
    run(seed);
    if (!::testing::Test::HasFailure()) return true;
    std::cerr << name_of_this() << " failed with seed " << seed << "; again: HAVN_SIM_SEED=" << seed << "\n";
    return false;
}

void run_on(std::uint64_t limit_seconds, const std::function<void(std::uint64_t)>& run) {
    const auto begun = steady_clock::now();
    auto next_report = begun + std::chrono::seconds(10);
    const auto first = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(begun.time_since_epoch()).count() * 1'000'000);
    for (std::uint64_t seed = first; run_one(seed, run); ++seed) {
        const auto now = steady_clock::now();
        if (now - begun >= std::chrono::seconds(limit_seconds)) {
            std::cerr << name_of_this() << ": " << seed - first + 1 << " seeds\n";
            return;
        }
        if (now < next_report) continue;
        next_report = now + std::chrono::seconds(10);
        std::cerr << name_of_this() << ": " << seed - first + 1 << " seeds, "
                  << std::chrono::duration_cast<std::chrono::seconds>(now - begun).count() << " s\n";
    }
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr std::uint64_t slower = 10;
#else
constexpr std::uint64_t slower = 1;
#endif
#else
constexpr std::uint64_t slower = 1;
#endif

}  // namespace

void for_seeds(std::uint64_t usual, const std::function<void(std::uint64_t)>& run) {
    if (const std::optional<std::uint64_t> one = number_of("HAVN_SIM_SEED")) {
        run_one(*one, run);
        return;
    }
    if (const std::optional<std::uint64_t> limit = number_of("HAVN_SIM_SECONDS")) return run_on(*limit, run);
    for (std::uint64_t seed = 1; seed <= (usual + slower - 1) / slower; ++seed) {
        if (!run_one(seed, run)) return;
    }
}

}  // namespace havn::sim
