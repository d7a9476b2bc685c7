# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_natwatch_global_optspecs
    string join \n c/config= format= v/verbose q/quiet color= h/help V/version
end

function __fish_natwatch_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_natwatch_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_natwatch_using_subcommand
    set -l cmd (__fish_natwatch_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c natwatch -n "__fish_natwatch_needs_command" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_needs_command" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_needs_command" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_needs_command" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_needs_command" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_needs_command" -s V -l version -d 'Print version'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "run" -d 'One pass: observe, decide, take over if it must. For cron and systemd timers'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "watch" -d 'The same without end, for systemd: notices within a second'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "check" -d 'One round now, for a monitoring system: one line and exit status 0 to 3. Changes nothing'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "status" -d 'Who carries each subnet now, the lock, the last round, the last takeover. Changes nothing'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "doctor" -d 'Is this standby able to take over, and are the backends able to witness? Each finding with what to do. Changes nothing'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "takeover" -d 'Move the subnets to this standby now, for planned work; no evidence against the primary is needed'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "failback" -d 'Bring the subnets back to the primary: one first, verified, then the others; then clear the lock'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "drill" -d 'Practice: move one subnet to the standby, verify, bring it back, verify; says how long it was without an answer each way'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "history" -d 'Every takeover, failback, drill, reset and pause: when, why, from where to where, how long. Changes nothing'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "reset" -d 'Clear the lock after a repair by hand. Changes nothing in AWS'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "replay" -d 'Decide again, offline, from a saved round or a scenario; says rule by rule why. Changes nothing'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "pause" -d 'Hold all automatic action for a while; it always goes on by itself. Changes nothing in AWS'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "resume" -d 'End a pause before its time'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "init" -d 'Write a first configuration from what this instance, its VPC and its hosts file show. Changes nothing in AWS'
complete -c natwatch -n "__fish_natwatch_needs_command" -f -a "print" -d 'Print what is to be installed elsewhere'
complete -c natwatch -n "__fish_natwatch_using_subcommand run" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand run" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand run" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand run" -l dry-run -d 'Change nothing: ask EC2 whether it would be allowed, and print the plan'
complete -c natwatch -n "__fish_natwatch_using_subcommand run" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand run" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand watch" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand watch" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand watch" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand watch" -l dry-run -d 'Change nothing: ask EC2 whether it would be allowed, and tell the plan'
complete -c natwatch -n "__fish_natwatch_using_subcommand watch" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand watch" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand check" -l max-age -d 'Judge the last `run` instead, if it is younger than this; if none is, the best there is to say is WARNING' -r
complete -c natwatch -n "__fish_natwatch_using_subcommand check" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand check" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand check" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand check" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand check" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand status" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand status" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand status" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand status" -l watch -d 'Go on, and show it anew each second until Ctrl-C; in a pipe, each time that it changes'
complete -c natwatch -n "__fish_natwatch_using_subcommand status" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand status" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand doctor" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand doctor" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand doctor" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand doctor" -l all -d 'Ask every backend, however long that takes. Else, where there are more than can be asked in a few seconds, some at random'
complete -c natwatch -n "__fish_natwatch_using_subcommand doctor" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand doctor" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand takeover" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand takeover" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand takeover" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand takeover" -l yes -d 'Do not ask for confirmation; needed where there is no terminal'
complete -c natwatch -n "__fish_natwatch_using_subcommand takeover" -l dry-run -d 'Change nothing: ask EC2 whether it would be allowed, and print the plan'
complete -c natwatch -n "__fish_natwatch_using_subcommand takeover" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand takeover" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand takeover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand failback" -l subnet -d 'Only this one; may be repeated. Default: all that the last takeover has moved, else takeover.subnets' -r
complete -c natwatch -n "__fish_natwatch_using_subcommand failback" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand failback" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand failback" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand failback" -l yes -d 'Do not ask for confirmation; needed where there is no terminal'
complete -c natwatch -n "__fish_natwatch_using_subcommand failback" -l dry-run -d 'Change nothing: ask EC2 whether it would be allowed, and print the plan'
complete -c natwatch -n "__fish_natwatch_using_subcommand failback" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand failback" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand failback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand drill" -l subnet -d 'This one. Default: failback.canary, else the one with the fewest backends that can tell' -r
complete -c natwatch -n "__fish_natwatch_using_subcommand drill" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand drill" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand drill" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand drill" -l yes -d 'Do not ask for confirmation; needed where there is no terminal'
complete -c natwatch -n "__fish_natwatch_using_subcommand drill" -l dry-run -d 'Change nothing: ask EC2 whether it would be allowed, and print the plan'
complete -c natwatch -n "__fish_natwatch_using_subcommand drill" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand drill" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand drill" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand history" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand history" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand history" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand history" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand history" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand reset" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand reset" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand reset" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand reset" -l yes -d 'Do not ask for confirmation; needed where there is no terminal'
complete -c natwatch -n "__fish_natwatch_using_subcommand reset" -l force -d 'Even while recorded subnets are still on the standby'
complete -c natwatch -n "__fish_natwatch_using_subcommand reset" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand reset" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand replay" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand replay" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand replay" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand replay" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand replay" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand pause" -l for -d 'For how long: 1s to 168h, like 30m' -r
complete -c natwatch -n "__fish_natwatch_using_subcommand pause" -l reason -d 'Why, for whoever wonders' -r
complete -c natwatch -n "__fish_natwatch_using_subcommand pause" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand pause" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand pause" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand pause" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand pause" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand pause" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand resume" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand resume" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand resume" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand resume" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand resume" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand init" -s o -l output -d 'Where to; `-`: standard output. Default: the --config path. What is there already is never touched' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand init" -l hosts-file -d 'Where backends are listed. Default: /etc/natwatch/hosts, else /etc/hosts' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand init" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand init" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand init" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand init" -l yes -d 'Ask nothing, on a terminal either: what can\'t be known is left open'
complete -c natwatch -n "__fish_natwatch_using_subcommand init" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand init" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and not __fish_seen_subcommand_from iam-policy authorized-key completions man" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and not __fish_seen_subcommand_from iam-policy authorized-key completions man" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and not __fish_seen_subcommand_from iam-policy authorized-key completions man" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and not __fish_seen_subcommand_from iam-policy authorized-key completions man" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and not __fish_seen_subcommand_from iam-policy authorized-key completions man" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and not __fish_seen_subcommand_from iam-policy authorized-key completions man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and not __fish_seen_subcommand_from iam-policy authorized-key completions man" -f -a "iam-policy" -d 'The IAM policy that the standby\'s role needs'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and not __fish_seen_subcommand_from iam-policy authorized-key completions man" -f -a "authorized-key" -d 'The line for `authorized_keys` on the backends, by which our key may do nothing but ping'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and not __fish_seen_subcommand_from iam-policy authorized-key completions man" -f -a "completions" -d 'What a shell reads to complete what is typed after natwatch'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and not __fish_seen_subcommand_from iam-policy authorized-key completions man" -f -a "man" -d 'The manual, in troff: of the program, or of its configuration'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from iam-policy" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from iam-policy" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from iam-policy" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from iam-policy" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from iam-policy" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from iam-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from authorized-key" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from authorized-key" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from authorized-key" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from authorized-key" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from authorized-key" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from authorized-key" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from completions" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from completions" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from completions" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from completions" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from completions" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from man" -s c -l config -d 'The configuration' -r -F
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from man" -l format -d 'How results are printed; json: one document on stdout and nothing else there' -r -f -a "text\t'For people'
json\t'One JSON document'"
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from man" -l color -d 'When to use colour; auto: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from man" -s v -l verbose -d 'Say more on stderr; twice: much more'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from man" -s q -l quiet -d 'Say only what is wrong'
complete -c natwatch -n "__fish_natwatch_using_subcommand print; and __fish_seen_subcommand_from man" -s h -l help -d 'Print help (see more with \'--help\')'
