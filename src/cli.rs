//! What was typed. It reads no file and decides nothing but how `clap`'s own endings become exit statuses.

mod completions;
mod describe;
mod examples;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

pub use completions::completions;
pub use describe::{Argument, Described, described};
pub use examples::{Example, examples};

/// Exit status of a command line that can't be understood (`EX_USAGE` of sysexits(3)).
const USAGE: u8 = 64;

const EXITS: &str = "\
Exit status:
  0 healthy, or done as asked    1 degraded          2 critical           3 unknown
  4 taken over now, verified     5 locked: an earlier takeover carries the subnets
  64 usage                       75 busy             78 configuration
  check: 0 OK    1 WARNING    2 CRITICAL    3 UNKNOWN, a bad configuration included
  doctor: 0 fit    1 warnings    2 unfit    3 could not tell";

/// Keeps private subnets online when their AWS NAT instance dies: run on the standby NAT instance.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "natwatch", version, after_help = EXITS, subcommand_required = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command, before or after its name.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Global {
    /// The configuration
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "NATWATCH_CONFIG",
        default_value = "/etc/natwatch/natwatch.toml",
        global = true
    )]
    pub config: PathBuf,
    /// How results are printed; json: one document on stdout and nothing else there
    #[arg(long, value_enum, default_value_t, global = true)]
    pub format: Format,
    /// Say more on stderr; twice: much more
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Say only what is wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// When to use colour; auto: on a terminal, unless `NO_COLOR` is set
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true)]
    pub color: Color,
}

impl Global {
    /// Whether to use colour on an output that is a `terminal` or not. `no_color` is the value of the environment
    /// variable of that name, which counts unless it is empty (<https://no-color.org>).
    #[must_use]
    pub fn colors(&self, terminal: bool, no_color: Option<&std::ffi::OsStr>) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && no_color.is_none_or(std::ffi::OsStr::is_empty),
        }
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// One pass: observe, decide, take over if it must. For cron and systemd timers
    Run {
        /// Change nothing: ask EC2 whether it would be allowed, and print the plan
        #[arg(long)]
        dry_run: bool,
    },
    /// The same without end, for systemd: notices within a second
    Watch {
        /// Change nothing: ask EC2 whether it would be allowed, and tell the plan
        #[arg(long)]
        dry_run: bool,
    },
    /// One round now, for a monitoring system: one line and exit status 0 to 3. Changes nothing
    Check {
        /// Judge the last `run` instead, if it is younger than this; if none is, the best there is to say is WARNING
        #[arg(long, value_name = "DURATION")]
        max_age: Option<String>,
    },
    /// Who carries each subnet now, the lock, the last round, the last takeover. Changes nothing
    Status {
        /// Go on, and show it anew each second until Ctrl-C; in a pipe, each time that it changes
        #[arg(long)]
        watch: bool,
    },
    /// Is this standby able to take over, and are the backends able to witness? Each finding with what to do. Changes nothing
    Doctor {
        /// Ask every backend, however long that takes. Else, where there are more than can be asked in a few seconds, some at random
        #[arg(long)]
        all: bool,
    },
    /// Move the subnets to this standby now, for planned work; no evidence against the primary is needed
    Takeover {
        /// Do not ask for confirmation; needed where there is no terminal
        #[arg(long)]
        yes: bool,
        /// Change nothing: ask EC2 whether it would be allowed, and print the plan
        #[arg(long)]
        dry_run: bool,
    },
    /// Bring the subnets back to the primary: one first, verified, then the others; then clear the lock
    Failback {
        /// Only this one; may be repeated. Default: all that the last takeover has moved, else takeover.subnets
        #[arg(long, value_name = "ID")]
        subnet: Vec<String>,
        /// Do not ask for confirmation; needed where there is no terminal
        #[arg(long)]
        yes: bool,
        /// Change nothing: ask EC2 whether it would be allowed, and print the plan
        #[arg(long)]
        dry_run: bool,
    },
    /// Practice: move one subnet to the standby, verify, bring it back, verify; says how long it was without an answer each way
    Drill {
        /// This one. Default: failback.canary, else the one with the fewest backends that can tell
        #[arg(long, value_name = "ID")]
        subnet: Option<String>,
        /// Do not ask for confirmation; needed where there is no terminal
        #[arg(long)]
        yes: bool,
        /// Change nothing: ask EC2 whether it would be allowed, and print the plan
        #[arg(long)]
        dry_run: bool,
    },
    /// Every takeover, failback, drill, reset and pause: when, why, from where to where, how long. Changes nothing
    History,
    /// Clear the lock after a repair by hand. Changes nothing in AWS
    Reset {
        /// Do not ask for confirmation; needed where there is no terminal
        #[arg(long)]
        yes: bool,
        /// Even while recorded subnets are still on the standby
        #[arg(long)]
        force: bool,
    },
    /// Decide again, offline, from a saved round or a scenario; says rule by rule why. Changes nothing
    Replay {
        /// A last-round.json, or a scenario (TOML)
        file: PathBuf,
    },
    /// Hold all automatic action for a while; it always goes on by itself. Changes nothing in AWS
    Pause {
        /// For how long: 1s to 168h, like 30m
        #[arg(long = "for", value_name = "DURATION")]
        length: String,
        /// Why, for whoever wonders
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// End a pause before its time
    Resume,
    /// Write a first configuration from what this instance, its VPC and its hosts file show. Changes nothing in AWS
    Init {
        /// Where to; `-`: standard output. Default: the --config path. What is there already is never touched
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Where backends are listed. Default: /etc/natwatch/hosts, else /etc/hosts
        #[arg(long, value_name = "FILE")]
        hosts_file: Option<PathBuf>,
        /// Ask nothing, on a terminal either: what can't be known is left open
        #[arg(long)]
        yes: bool,
    },
    /// Print what is to be installed elsewhere
    Print {
        /// What to print.
        #[command(subcommand)]
        what: Print,
    },
}

/// What `print` prints.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Print {
    /// The IAM policy that the standby's role needs
    IamPolicy,
    /// The line for `authorized_keys` on the backends, by which our key may do nothing but ping
    AuthorizedKey {
        /// The public key
        #[arg(value_name = "KEY.pub")]
        key: PathBuf,
    },
    /// What a shell reads to complete what is typed after natwatch
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// The manual, in troff: of the program, or of its configuration
    Man {
        /// Which page
        #[arg(value_enum, default_value_t)]
        page: Page,
    },
}

/// A shell that completes what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

/// A page of the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Page {
    /// natwatch(1): every command and flag
    #[default]
    Natwatch,
    /// natwatch.toml(5): every key of the configuration
    #[value(name = "natwatch.toml")]
    NatwatchToml,
}

/// The command line as `clap` knows it, with examples before each help.
#[must_use]
pub fn definition() -> clap::Command {
    examples::with_examples(Cli::command(), "")
}

impl Cli {
    /// What was typed after `natwatch`.
    ///
    /// # Errors
    ///
    /// The exit status where there is nothing left to do: 0 after `--help` or `--version` (printed to stdout), 64 after
    /// a command line that can't be understood (explained on stderr).
    pub fn parse_or_exit_status() -> Result<Self, u8> {
        Self::from_args(std::env::args_os())
    }

    /// The same, of these arguments, the first of which is the program's own name.
    ///
    /// # Errors
    ///
    /// As [`Self::parse_or_exit_status`].
    pub fn from_args(args: impl IntoIterator<Item = OsString>) -> Result<Self, u8> {
        let mut definition = definition();
        let parsed = definition.try_get_matches_from_mut(args);
        parsed.and_then(|found| Self::from_arg_matches(&found).map_err(|error| error.format(&mut definition))).map_err(
            |error| {
                // Nobody listens: the status says it all.
                let _ = error.print();
                if error.use_stderr() { USAGE } else { 0 }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, Color, Command, Format, Page, Print, Shell, definition, described, examples};

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("natwatch").chain(line.split_whitespace()))
    }

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_understood() {
        for (line, command) in [
            ("run", Command::Run { dry_run: false }),
            ("run --dry-run", Command::Run { dry_run: true }),
            ("check", Command::Check { max_age: None }),
            ("check --max-age 10m", Command::Check { max_age: Some("10m".to_owned()) }),
            ("status", Command::Status { watch: false }),
            ("status --watch", Command::Status { watch: true }),
            ("doctor", Command::Doctor { all: false }),
            ("doctor --all", Command::Doctor { all: true }),
            ("reset", Command::Reset { yes: false, force: false }),
            ("reset --yes --force", Command::Reset { yes: true, force: true }),
            ("takeover", Command::Takeover { yes: false, dry_run: false }),
            ("takeover --yes --dry-run", Command::Takeover { yes: true, dry_run: true }),
            ("failback", Command::Failback { subnet: vec![], yes: false, dry_run: false }),
            (
                "failback --subnet subnet-0a --subnet subnet-0b --yes",
                Command::Failback {
                    subnet: vec!["subnet-0a".to_owned(), "subnet-0b".to_owned()],
                    yes: true,
                    dry_run: false,
                },
            ),
            ("failback --dry-run", Command::Failback { subnet: vec![], yes: false, dry_run: true }),
            ("drill", Command::Drill { subnet: None, yes: false, dry_run: false }),
            (
                "drill --subnet subnet-0a --yes",
                Command::Drill { subnet: Some("subnet-0a".to_owned()), yes: true, dry_run: false },
            ),
            ("drill --dry-run", Command::Drill { subnet: None, yes: false, dry_run: true }),
            ("history", Command::History),
            ("replay last-round.json", Command::Replay { file: "last-round.json".into() }),
            ("pause --for 30m --reason x", Command::Pause { length: "30m".to_owned(), reason: "x".to_owned() }),
            ("resume", Command::Resume),
            ("init", Command::Init { output: None, hosts_file: None, yes: false }),
            (
                "init --output - --hosts-file /etc/hosts --yes",
                Command::Init { output: Some("-".into()), hosts_file: Some("/etc/hosts".into()), yes: true },
            ),
            ("print iam-policy", Command::Print { what: Print::IamPolicy }),
            ("print authorized-key k.pub", Command::Print { what: Print::AuthorizedKey { key: "k.pub".into() } }),
            ("print completions zsh", Command::Print { what: Print::Completions { shell: Shell::Zsh } }),
            ("print man", Command::Print { what: Print::Man { page: Page::Natwatch } }),
            ("print man natwatch.toml", Command::Print { what: Print::Man { page: Page::NatwatchToml } }),
        ] {
            assert_eq!(parse(line).unwrap().command, command, "{line}");
        }
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        for line in ["-c /a.toml --format json -vv --color never run", "run -c /a.toml --format json -vv --color never"]
        {
            let global = parse(line).unwrap().global;
            assert_eq!(global.config.to_str(), Some("/a.toml"), "{line}");
            assert_eq!(
                (global.format, global.verbose, global.quiet, global.color),
                (Format::Json, 2, false, Color::Never),
                "{line}"
            );
        }
    }

    #[test]
    fn usage_errors_are_64_and_help_is_0() {
        let status = |line: &str| {
            Cli::from_args(std::iter::once("natwatch").chain(line.split_whitespace()).map(Into::into)).unwrap_err()
        };
        for line in [
            "",
            "walk",
            "run --yes",
            "run now",
            "status --dry-run",
            "doctor --yes",
            "check --max-age",
            "check --dry-run",
            "--format xml run",
            "-q -v run",
            "run -q -v",
            "replay",
            "replay a b",
            "print",
            "print key",
            "print authorized-key",
            "print authorized-key a b",
            "reset --dry-run",
            "takeover --subnet subnet-0a",
            "takeover now",
            "failback --subnet",
            "drill subnet-0a",
            "drill --subnet subnet-0a --subnet subnet-0b",
            "history --since 1h",
            "pause",
            "pause --for 30m",
            "resume now",
            "init now",
        ] {
            assert_eq!(status(line), 64, "{line:?}");
        }
        for line in ["--help", "-h", "--version", "-V", "run --help", "print iam-policy --help"] {
            assert_eq!(status(line), 0, "{line:?}");
        }
    }

    /// The words of an example as a shell would make them: without quotes, and without what comes after `>` and `|`.
    fn words(line: &str) -> Vec<String> {
        let line = line.split(['>', '|']).next().unwrap();
        let mut words = vec![String::from("natwatch")];
        for (n, part) in line.trim().split('\'').enumerate() {
            if n % 2 == 0 {
                words.extend(part.split_whitespace().map(str::to_owned));
            } else {
                words.push(part.to_owned());
            }
        }
        words
    }

    #[test]
    fn every_help_begins_with_examples_that_are_understood_as_that_command() {
        fn look(command: &clap::Command, path: &str, seen: &mut usize) {
            let help = command.clone().render_long_help().to_string();
            assert!(help.starts_with("Examples:\n  natwatch "), "natwatch {path} --help: {help}");
            for (line, does) in examples(path) {
                assert!(help.contains(does), "{path}: {does:?} is broken: {help}");
                assert!(line.starts_with(path), "an example of natwatch {path} is natwatch {line}");
                let parsed = Cli::try_parse_from(words(line));
                assert!(parsed.is_ok(), "natwatch {line}: {}", parsed.unwrap_err());
                *seen += 1;
            }
            for one in command.get_subcommands() {
                look(one, format!("{path} {}", one.get_name()).trim(), seen);
            }
        }
        let mut seen = 0;
        look(&definition(), "", &mut seen);
        assert!(seen > 40, "{seen} examples were looked at");
    }

    #[test]
    fn every_command_and_flag_is_described_with_what_it_is_for() {
        let all = described();
        let names: Vec<&str> = all.iter().map(|one| one.words.as_str()).collect();
        for name in ["", "run", "failback", "print man", "print authorized-key"] {
            assert!(names.contains(&name), "{name:?} is not among {names:?}");
        }
        for one in &all {
            assert!(!one.about.is_empty() && !one.examples.is_empty(), "natwatch {}", one.words);
            for argument in &one.arguments {
                assert!(!argument.help.is_empty(), "natwatch {}: {}", one.words, argument.forms);
            }
        }
        let of = |words: &str, forms: &str| {
            let command = all.iter().find(|one| one.words == words).unwrap();
            command.arguments.iter().find(|one| one.forms == forms).unwrap_or_else(|| panic!("{command:?}")).clone()
        };
        let config = of("", "-c, --config FILE");
        assert_eq!(
            (config.env.as_deref(), config.default.as_deref()),
            (Some("NATWATCH_CONFIG"), Some("/etc/natwatch/natwatch.toml"))
        );
        assert_eq!(of("failback", "--subnet ID").synopsis, "[--subnet ID]...");
        assert_eq!(of("pause", "--for DURATION").synopsis, "--for DURATION");
        assert_eq!(of("", "-v, --verbose").synopsis, "[--verbose]");
        assert_eq!(of("print completions", "SHELL").values, ["bash", "zsh", "fish"]);
    }

    #[test]
    fn no_color_counts_unless_it_is_empty_or_colour_was_asked_for() {
        let colors = |line: &str, terminal, no_color: Option<&str>| {
            parse(line).unwrap().global.colors(terminal, no_color.map(OsStr::new))
        };
        assert!(colors("run", true, None));
        assert!(colors("run", true, Some("")));
        assert!(!colors("run", true, Some("1")));
        assert!(!colors("run", false, None));
        assert!(colors("run --color always", false, Some("1")));
        assert!(!colors("run --color never", true, None));
    }
}
