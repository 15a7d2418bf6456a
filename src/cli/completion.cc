#include <fmt/format.h>

#include "cli/common/terminal.h"
#include "cli/help.h"
#include "cli/verb_table.h"

namespace havn::cli {

namespace {

std::string names_joined(const char* separator) {
    std::string text;
    for (const VerbEntry& verb : verb_table()) {
        text += (text.empty() ? "" : separator) + std::string(verb.name);
    }
    return text;
}

// Names of services and workers come from `havn ps --json`; nothing is offered while the platform does not
// run.
constexpr const char* list_names =
    "havn ps --json 2>/dev/null | sed -n 's/^ *\"name\": \"\\(.*\\)\",*$/\\1/p' | sort -u";

std::string bash_script() {
    return "# bash: source <(havn completion bash)\n"
           "_havn() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}\n"
           "    COMPREPLY=()\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        COMPREPLY=($(compgen -W \"" +
           names_joined(" ") +
           "\" -- \"$word\"))\n"
           "    elif [[ $word == -* ]]; then\n"
           "        COMPREPLY=($(compgen -W \"$(havn help \"$verb\" 2>/dev/null | grep -o -- "
           "'--[a-z][a-z-]*')\" "
           "-- \"$word\"))\n"
           "    else case $verb in\n"
           "        logs|events|restart) COMPREPLY=($(compgen -W \"$(" +
           std::string(list_names) +
           ")\" -- \"$word\")) ;;\n"
           "        scale) COMPREPLY=($(compgen -S = -W \"$(" +
           list_names +
           ")\" -- \"$word\")) ;;\n"
           "        completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$word\")) ;;\n"
           "        queue) COMPREPLY=($(compgen -W 'purge' -- \"$word\")) ;;\n"
           "        help) COMPREPLY=($(compgen -W \"manifest " +
           names_joined(" ") +
           "\" -- \"$word\")) ;;\n"
           "    esac; fi\n"
           "}\n"
           "complete -o default -F _havn havn\n";
}

std::string zsh_script() {
    std::string text =
        "#compdef havn\n# zsh: havn completion zsh > \"${fpath[1]}/_havn\"\n_havn() {\n    local -a verbs\n  "
        "  verbs=(\n";
    for (const VerbEntry& verb : verb_table()) {
        text += fmt::format("        '{}:{}'\n", verb.name, verb.summary);
    }
    return text +
           "    )\n"
           "    if (( CURRENT == 2 )); then\n"
           "        _describe verb verbs\n"
           "    else case $words[2] in\n"
           "        logs|events|restart) compadd -- ${(f)\"$(" +
           list_names +
           ")\"} ;;\n"
           "        scale) compadd -S = -- ${(f)\"$(" +
           list_names +
           ")\"} ;;\n"
           "        completion) compadd bash zsh fish ;;\n"
           "        queue) compadd purge ;;\n"
           "        help) compadd manifest " +
           names_joined(" ") +
           " ;;\n"
           "        *) _files ;;\n"
           "    esac; fi\n"
           "}\n"
           "(( $+functions[compdef] )) && compdef _havn havn\n";
}

std::string fish_script() {
    std::string text = "# fish: havn completion fish > ~/.config/fish/completions/havn.fish\n";
    for (const VerbEntry& verb : verb_table()) {
        text += fmt::format("complete -c havn -f -n __fish_use_subcommand -a {} -d '{}'\n", verb.name,
                            verb.summary);
    }
    for (const char* verb : {"logs", "events", "restart", "scale"}) {
        text +=
            "complete -c havn -f -n '__fish_seen_subcommand_from " + std::string(verb) + "' -a \"(" +
            "havn ps --json 2>/dev/null | string match -rg '^ *\\\"name\\\": \\\"(.*)\\\"' | sort -u)\"\n";
    }
    text += "complete -c havn -f -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n";
    text += "complete -c havn -f -n '__fish_seen_subcommand_from queue' -a purge\n";
    return text + "complete -c havn -f -n '__fish_seen_subcommand_from help' -a 'manifest " +
           names_joined(" ") + "'\n";
}

}  // namespace

int completion(const std::string& shell) {
    if (shell == "bash") {
        print(bash_script());
    } else if (shell == "zsh") {
        print(zsh_script());
    } else if (shell == "fish") {
        print(fish_script());
    } else {
        print_error({Error::Kind::invalid, "no completion for '" + shell + "'",
                     "there is one for bash, zsh and fish"});
        return Exit::usage;
    }
    return Exit::ok;
}

}  // namespace havn::cli
