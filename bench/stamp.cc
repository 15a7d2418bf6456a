// The process whose restart is timed: writes "PID NANOSECONDS" (CLOCK_MONOTONIC, as early as main can) to the
// file it is given, whole, and waits to be killed.
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (argc != 2) return 2;
    const std::string path = argv[1];
    const std::string fresh = fmt::format("{}.{}", path, getpid());
    std::FILE* file = std::fopen(fresh.c_str(), "w");
    if (file == nullptr) return 1;
    fmt::print(file, "{} {}\n", getpid(), now.tv_sec * 1'000'000'000LL + now.tv_nsec);
    if (std::fclose(file) != 0 || std::rename(fresh.c_str(), path.c_str()) != 0) return 1;
    for (;;) pause();
}
