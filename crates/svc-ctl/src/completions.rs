//! Completion scripts: clap_complete's static ones for commands and options, and the names of the services that svc has at
//! that moment, which the scripts ask `svc-ctl complete-names` for.

use clap_complete::Shell;
use svc_core::Signal;

use crate::args::visible;
use crate::exit::{Code, Failure};
use crate::output::Output;

pub fn print(shell: Shell, out: &mut Output) -> Result<Code, Failure> {
    out.text(&script(shell))?;
    out.flush()?;
    Ok(Code::Done)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(), "svc-ctl", &mut script);
    let script = String::from_utf8(script).expect("the scripts are made from our own texts");
    let live = |template: &str| {
        let signals = Signal::names().collect::<Vec<_>>().join(" ");
        template.replace("@COMMANDS@", &commands_with_names().join(" ")).replace("@SIGNALS@", &signals)
    };
    match shell {
        // Names are the only arguments without a hint of what they are, so the default stands for them. The function must
        // come first: the last lines of the script already complete.
        Shell::Zsh => script.replace(":_default'", ":_svc_ctl_names'").replacen('\n', &format!("\n{}", live(ZSH)), 1),
        Shell::Fish => script + &live(FISH),
        // The arguments allow no other than bash. clap_complete spells the hyphen of our name in two ways, so that nothing
        // behind a command would be completed: https://github.com/clap-rs/clap/issues/6421
        _ => script.replace("svc__subcmd__ctl", "svc__ctl") + &live(BASH),
    }
}

fn commands_with_names() -> Vec<String> {
    let takes_names = |command: &&clap::Command| command.get_arguments().any(|argument| argument.get_id() == "names");
    visible().get_subcommands().filter(takes_names).map(|command| command.get_name().to_string()).collect()
}

/// Registered over the static function, which it asks first.
const BASH: &str = r#"
_svc_ctl_live() {
    _svc__ctl "$@"

    local cur="$2" i command="" positional=0
    local -a socket=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
            --socket)
                [[ "${COMP_WORDS[i + 1]}" == "=" ]] && ((i++))
                ((i++))
                socket=(--socket "${COMP_WORDS[i]/#\~/$HOME}")
                ;;
            --timeout | --code | --lines | -n)
                [[ "${COMP_WORDS[i + 1]}" == "=" ]] && ((i++))
                ((i++))
                ;;
            -*) ;;
            *)
                if [[ -z "$command" ]]; then
                    command="${COMP_WORDS[i]}"
                else
                    ((positional++))
                fi
                ;;
        esac
    done
    # The value of an option, or an option.
    [[ $i -gt $COMP_CWORD || "$cur" == -* ]] && return
    case " @COMMANDS@ " in
        *" $command "*) ;;
        *) return ;;
    esac
    if [[ "$command" == kill && $positional -eq 0 ]]; then
        COMPREPLY=($(compgen -W "@SIGNALS@" -- "${cur^^}"))
        return
    fi

    # Bash splits words at @ and :, which names may contain: ask for the whole, and answer with what it left to complete.
    local line="${COMP_LINE:0:COMP_POINT}" typed="$cur" begun="" name
    local word="${line##* }"
    if [[ "$word" != *[\"\'\\]* && "$word" == *"$cur" ]]; then
        typed="$word"
        begun="${word%"$cur"}"
    fi
    COMPREPLY=()
    while IFS= read -r name; do
        name="${name#"$begun"}"
        [[ "$word" == [\"\']* ]] || printf -v name %q "$name"
        COMPREPLY+=("$name")
    done < <("$1" "${socket[@]+"${socket[@]}"}" complete-names -- "$typed" 2>/dev/null)
}

complete -F _svc_ctl_live svc-ctl
"#;

const ZSH: &str = r#"
_svc_ctl_names() {
    local -a names socket
    (( ${+opt_args[--socket]} )) && socket=(--socket ${(Q)opt_args[--socket]})
    names=(${(f)"$(svc-ctl $socket complete-names 2>/dev/null)"})
    compadd -a names
}
"#;

const FISH: &str = r#"
function __svc_ctl_names
    svc-ctl complete-names -- (commandline --current-token --cut-at-cursor) 2>/dev/null
end
complete -c svc-ctl -n "__fish_seen_subcommand_from kill" -f -a "@SIGNALS@"
complete -c svc-ctl -n "__fish_seen_subcommand_from @COMMANDS@" -f -a "(__svc_ctl_names)"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_ask_for_names_and_hide_what_is_hidden() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert_eq!(script.matches("complete-names").count(), 1, "{shell}");
            assert!(!script.contains("@COMMANDS@") && !script.contains("@SIGNALS@"), "{shell}");
        }
        assert!(script(Shell::Zsh).starts_with("#compdef svc-ctl\n"));
        assert!(script(Shell::Zsh).contains(":_svc_ctl_names'"));
        assert!(!script(Shell::Zsh).contains(":_default'"));
    }

    #[test]
    fn every_command_with_names_completes_them() {
        let commands = commands_with_names();
        for command in ["status", "start", "kill", "wait", "logs", "events", "why", "health"] {
            assert!(commands.contains(&command.to_string()), "{command}");
        }
        assert!(!commands.contains(&"rescan".to_string()));
    }
}
