// The documents a supervisor reads: what is accepted must come back the same when written and read again.
#include <cstdlib>

#include "contract/supervisor.h"
#include "supervisor/core/state/saved_state.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace havn;
    const Result<Json> json = parse_json(std::string_view(reinterpret_cast<const char*>(data), size));
    if (!json) return 0;
    if (const Result<supervisor::Desired> desired = supervisor::desired_from_json(*json)) {
        const Result<supervisor::Desired> again = supervisor::desired_from_json(to_json(*desired));
        if (!again || again->programs != desired->programs || again->listeners != desired->listeners) {
            std::abort();
        }
    }
    if (Result<supervisor::SavedState> saved = supervisor::saved_state_from_json(*json)) {
        supervisor::add_journal(*saved, std::string_view(reinterpret_cast<const char*>(data), size));
    }
    return 0;
}
