#include "cli/help.h"

#include "cli/common/terminal.h"
#include "manifest/manifest.h"

namespace havn::cli {

std::string help_footer() {
    return R"(Exit codes:
  0   done; of `plan`: nothing would change
  1   failed; standard error says why and what to do; of `ps`: something is not ready
  2   of `plan`: something would change
  64  the command line itself is wrong

Environment:
  NO_COLOR   no colour, whatever the terminal can do
  HAVN_LOG   debug, info, warning or error: how much the platform's parts write
  HAVN_GATEWAY_LISTEN, HAVN_BROKER_LISTEN
             where they listen when there is a Procfile and no havn.toml: "127.0.0.1:8081"

`havn help VERB` explains a verb, `havn help manifest [SECTION]` the keys of havn.toml.
)";
}

int help_manifest(const std::string& topic) {
    const std::string text = manifest::reference_text(topic);
    if (text.empty()) {
        return print_error({Error::Kind::not_found, "the manifest has no '" + topic + "'",
                            "see all of it with `havn help manifest`"});
    }
    print(text);
    return Exit::ok;
}

}  // namespace havn::cli
