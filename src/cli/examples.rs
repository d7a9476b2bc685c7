//! What is typed most, command by command. It is the beginning of every help and of the manual: who asks for help wants a line to
//! paste, and looks for an explanation after that.

use std::fmt::Write as _;

use clap::Command;

/// What is typed after `natwatch`, and what that does.
pub type Example = (&'static str, &'static str);

/// The command (empty: the program as a whole), and its examples.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[
            ("run --dry-run -v", "observe and decide for real, change nothing, say why"),
            ("run", "one pass, from cron or a systemd timer"),
            ("watch", "passes without end, as a service"),
            ("check --max-age 10m", "for Nagios, Icinga, Sensu, Consul: one line, exit 0 to 3"),
            ("status", "who carries each subnet, the lock, the last round"),
            ("doctor", "would it work tonight: everything looked at, with what to do"),
            ("takeover --dry-run", "what planned work would move, and whether EC2 would allow it"),
            ("failback", "bring the subnets back after a repair, one first, verified"),
            ("drill", "practice: one subnet to the standby and back, verified each way"),
            ("reset", "clear the lock after the primary was repaired by hand"),
            ("pause --for 30m --reason 'new kernel'", "hold all automatic action for half an hour"),
            ("history", "what was done, when and why"),
            ("replay last-round.json", "why a saved round came to what it came to"),
            ("init", "a first configuration, from what EC2 and the hosts file show"),
            ("print iam-policy", "the policy that the standby's role needs"),
        ],
    ),
    (
        "run",
        &[
            ("run --dry-run -v", "would it take over now, and would EC2 allow it? Changes nothing"),
            ("run", "what cron and the systemd timer do; silent while all is well"),
            ("run --format json", "the same for a script: every round, every backend, every move"),
        ],
    ),
    (
        "watch",
        &[
            ("watch --dry-run -v", "look on for a while, and change nothing"),
            ("watch", "what natwatch-watch.service does"),
        ],
    ),
    (
        "check",
        &[
            ("check --max-age 10m", "judge the last run; WARNING where there is none that young"),
            ("check", "make a round now"),
        ],
    ),
    (
        "status",
        &[
            ("status", "who carries each subnet, the lock, the last round, the gates"),
            ("status --watch", "the same, live"),
            ("status --format json", "for a script"),
        ],
    ),
    (
        "doctor",
        &[
            ("doctor", "would it work tonight? Each finding with a command to paste"),
            ("doctor -q", "only what is not well"),
            ("doctor --all", "ask every backend, of however many hundred"),
            ("doctor --format json", "for a script; exit 0 fit, 1 warnings, 2 unfit, 3 not told"),
        ],
    ),
    (
        "takeover",
        &[
            ("takeover --dry-run", "what would be moved, and whether EC2 would allow it"),
            ("takeover", "shows the plan, and asks"),
            ("takeover --yes", "from a script"),
        ],
    ),
    (
        "failback",
        &[
            ("failback --dry-run", "what would be brought back, and which subnet first"),
            ("failback", "shows the plan, and asks"),
            ("failback --subnet subnet-0a1b", "only this one; the lock stays while others are away"),
            ("failback --yes", "from a script"),
        ],
    ),
    (
        "drill",
        &[
            ("drill --dry-run", "which subnet would go, and would EC2 allow it?"),
            ("drill", "shows the plan, and asks"),
            ("drill --subnet subnet-0a1b --yes", "this one, from a script"),
        ],
    ),
    ("history", &[("history", "newest last"), ("history --format json", "for a script")]),
    (
        "reset",
        &[
            ("reset", "says where each subnet is, and asks"),
            ("reset --yes", "from a script"),
            ("reset --force", "although recorded subnets are still on the standby"),
        ],
    ),
    (
        "replay",
        &[
            ("replay /var/lib/natwatch/natwatch/last-round.json", "the last round, rule by rule"),
            ("replay scenario.toml", "a round that was written by hand"),
        ],
    ),
    (
        "init",
        &[
            ("init", "asks what it can't find out, and writes the configuration"),
            ("init --output -", "to standard output; asks nothing without a terminal"),
            ("init --hosts-file /etc/hosts", "with the backends of this file"),
            ("init --yes", "asks nothing, and leaves open what it can't find out"),
        ],
    ),
    ("pause", &[("pause --for 30m --reason 'new kernel'", "before the primary is stopped on purpose")]),
    ("resume", &[("resume", "look again, and act again, from now on")]),
    (
        "print",
        &[
            ("print iam-policy > policy.json", "for aws iam put-role-policy"),
            ("print authorized-key /etc/natwatch/id_ed25519.pub", "for the backends"),
            ("print completions bash > /etc/bash_completion.d/natwatch", "for the shell"),
        ],
    ),
    ("print iam-policy", &[("print iam-policy > policy.json", "for aws iam put-role-policy")]),
    (
        "print authorized-key",
        &[("print authorized-key /etc/natwatch/id_ed25519.pub", "put from=\"ADDRESS OF THE STANDBY\", before it")],
    ),
    (
        "print completions",
        &[
            ("print completions bash > /etc/bash_completion.d/natwatch", "for everybody's bash"),
            ("print completions zsh > /usr/local/share/zsh/site-functions/_natwatch", "for everybody's zsh"),
            ("print completions fish > /etc/fish/completions/natwatch.fish", "for everybody's fish"),
        ],
    ),
    (
        "print man",
        &[
            ("print man > /usr/local/share/man/man1/natwatch.1", "install it"),
            ("print man natwatch.toml | man -l -", "read what can be configured"),
        ],
    ),
];

/// The examples of a command; none where there is no such command.
#[must_use]
pub fn examples(command: &str) -> &'static [Example] {
    EXAMPLES.iter().find(|(name, _)| *name == command).map_or(&[], |(_, examples)| examples)
}

/// `command`, which was typed as `words`, and all beneath it, with their examples before their help.
pub(super) fn with_examples(command: Command, words: &str) -> Command {
    let examples = examples(words);
    let mut command = command;
    if !examples.is_empty() {
        command = command.before_help(text(examples));
    }
    let names: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    for name in names {
        let words = if words.is_empty() { name.clone() } else { format!("{words} {name}") };
        command = command.mut_subcommand(name, |one| with_examples(one, &words));
    }
    command
}

/// What is longer than this has its explanation below it: a help is at most 100 columns wide.
const BESIDE: usize = 34;

fn text(examples: &[Example]) -> String {
    let lengths = examples.iter().map(|(line, _)| line.len());
    let width = lengths.filter(|length| *length <= BESIDE).max().unwrap_or_default();
    let mut text = String::from("Examples:");
    for (line, does) in examples {
        // Writing to a String does not fail.
        let _ = if line.len() > BESIDE {
            write!(text, "\n  natwatch {line}\n{:width$}   {does}", "", width = width + "  natwatch ".len())
        } else {
            write!(text, "\n  natwatch {line:width$}   {does}")
        };
    }
    text
}
