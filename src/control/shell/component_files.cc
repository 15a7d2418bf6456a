#include "control/shell/component_files.h"

#include <unistd.h>

#include <optional>
#include <vector>

#include "io/file.h"
#include "io/inherited.h"

namespace havn::control {

Result<> ComponentFiles::prepare(const Compiled& compiled) {
    if (Result<> made = io::make_folder(folder_, 0711); !made) return made;  // entered, never listed
    const std::vector<gid_t> groups = io::inherited_groups();
    const bool apart = groups.size() == 2;
    io::FileOptions gateway, broker;
    if (apart) {
        gateway.reader = groups[0];
        broker.reader = groups[1];
    }
    Result<> written = io::write_file(folder_ + "/gateway.json.new",
                                      gateway::to_json(compiled.gateway).dump(2) + "\n", gateway);
    if (!written) return written;
    return io::write_file(folder_ + "/broker.json.new", broker::to_json(compiled.broker).dump(2) + "\n",
                          broker);
}

Result<> ComponentFiles::commit() {
    for (const char* name : {"/gateway.json", "/broker.json"}) {
        const std::string path = folder_ + name;
        if (::rename((path + ".new").c_str(), path.c_str()) != 0) return fail_errno("rename " + path);
    }
    return io::sync_folder(folder_);
}

}  // namespace havn::control
