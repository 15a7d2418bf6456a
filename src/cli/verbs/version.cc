#include <sys/utsname.h>

#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"

namespace havn::cli {

int version(bool json) {
    utsname host{};
    ::uname(&host);
    if (json) {
        print_json({{"version", HAVN_VERSION}, {"kernel", host.release}, {"machine", host.machine}});
    } else {
        print("havn " HAVN_VERSION "\n");
    }
    return Exit::ok;
}

}  // namespace havn::cli
