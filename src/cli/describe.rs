//! Every command and flag as plain data, for what documents them: the manual is made of it.

use clap::{Arg, ArgAction, Command};

use super::examples::{Example, examples};

/// A command, or the program as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// What is typed after `natwatch`; empty: the program as a whole, with the flags of every command.
    pub words: String,
    /// What it does.
    pub about: String,
    /// Lines to paste.
    pub examples: &'static [Example],
    /// Its own flags and arguments.
    pub arguments: Vec<Argument>,
}

/// A flag or an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// `-c, --config FILE`.
    pub forms: String,
    /// As it stands in a synopsis: `[--dry-run]`, `--for DURATION`.
    pub synopsis: String,
    /// What it is for.
    pub help: String,
    /// What holds where it is not written.
    pub default: Option<String>,
    /// The variable of the environment that stands for it.
    pub env: Option<String>,
    /// The values that are accepted, where those are few.
    pub values: Vec<String>,
}

/// The program as a whole, and each command that does something, in the order of the help.
#[must_use]
pub fn described() -> Vec<Described> {
    let mut all = Vec::new();
    describe(&super::definition(), "", &mut all);
    all
}

fn describe(command: &Command, words: &str, all: &mut Vec<Described>) {
    let inner: Vec<&Command> = command.get_subcommands().collect();
    if words.is_empty() || inner.is_empty() {
        let about = command.get_long_about().or_else(|| command.get_about());
        let arguments =
            command.get_arguments().filter(|one| !one.is_hide_set() && !is_clap_s_own(one)).map(argument).collect();
        all.push(Described {
            about: about.map(ToString::to_string).unwrap_or_default(),
            examples: examples(words),
            arguments,
            words: words.to_owned(),
        });
    }
    for one in inner {
        let words = if words.is_empty() { one.get_name().to_owned() } else { format!("{words} {}", one.get_name()) };
        describe(one, &words, all);
    }
}

fn is_clap_s_own(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version)
}

fn argument(arg: &Arg) -> Argument {
    let takes = arg.get_action().takes_values();
    let id = arg.get_id().as_str().to_uppercase();
    let value = arg.get_value_names().and_then(|names| names.first()).map_or(id, ToString::to_string);
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    let mut forms = [short.clone(), long.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let mut shortest = long.or(short).unwrap_or_default();
    if takes {
        let blank = if forms.is_empty() { "" } else { " " };
        forms = format!("{forms}{blank}{value}");
        shortest = format!("{shortest}{blank}{value}");
    }
    let synopsis = match (arg.is_required_set(), arg.get_action()) {
        (true, _) => shortest,
        (false, ArgAction::Append) => format!("[{shortest}]..."),
        (false, _) => format!("[{shortest}]"),
    };
    let default = arg.get_default_values().first().filter(|_| takes).map(|value| value.to_string_lossy().into_owned());
    let values = if takes { arg.get_possible_values() } else { Vec::new() };
    Argument {
        forms,
        synopsis,
        help: arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default(),
        default,
        env: arg.get_env().map(|name| name.to_string_lossy().into_owned()),
        values: values.iter().map(|value| value.get_name().to_owned()).collect(),
    }
}
