#include <sys/utsname.h>

#include "cli/terminal.h"
#include "cli/verbs.h"

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
