//! natwatch(1), made of the definition of the command line: examples first, then every command with its flags, exit statuses, files,
//! and what of the environment counts.

use std::fmt::Write as _;

use roff::{Roff, bold, italic, roman};

use crate::cli::{Argument, Described, Example, described};
use crate::report::exit_meaning;

/// The statuses of a pass, in the order of the manual.
const STATUSES: [u8; 9] = [0, 1, 2, 3, 4, 5, 64, 75, 78];

/// A file, and what it is.
type Told = (&'static str, &'static str);

const FILES: [Told; 10] = [
    (
        "/etc/natwatch/natwatch.toml",
        "The configuration, see natwatch.toml(5). Owner and root alone may be able to write it.",
    ),
    (
        "/var/lib/natwatch/NAME/takeover.json",
        "The lock: what a takeover has moved, and how far it has come. natwatch failback and natwatch reset remove it.",
    ),
    ("/var/lib/natwatch/NAME/history.jsonl", "What was done, a JSON document a line; read by natwatch history."),
    ("/var/lib/natwatch/NAME/last-round.json", "All that the last pass decided from; read by natwatch replay."),
    ("/var/lib/natwatch/NAME/pause.json", "A pause, until it is over."),
    ("/var/lib/natwatch/NAME/guarded.json", "The guarded subnets as EC2 showed them last."),
    (
        "/var/lib/natwatch/NAME/fleet.json",
        "Who runs in them, as EC2 showed that last: where backends.ec2_subnets is true.",
    ),
    ("/var/lib/natwatch/NAME/witnesses.json", "Who has been seen reaching a target through the primary, for 30 days."),
    ("/var/lib/natwatch/NAME/facts.json", "What only root can see of this machine, for passes without that right."),
    (
        "/var/lib/natwatch/NAME/run.lock, watch.lock, turn.lock",
        "Held while subnets are moved, while a natwatch watch runs, and while a count or an event is written; never deleted.",
    ),
];

const ENVIRONMENT: [Told; 9] = [
    ("NATWATCH_CONFIG", "The configuration, where --config is not given."),
    ("NO_COLOR", "Set and not empty: no colours (https://no-color.org)."),
    ("TERM", "\"dumb\", empty or not set: no colours either."),
    ("LC_ALL, LC_CTYPE, LANG", "Where the first of them that is set does not name UTF-8, output is ASCII."),
    (
        "AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, ...",
        "As every AWS tool reads them; without any, the instance's role is used.",
    ),
    ("AWS_ENDPOINT_URL_EC2, AWS_ENDPOINT_URL", "Another address of EC2's API, such as a VPC endpoint's."),
    ("AWS_CA_BUNDLE", "A PEM file of the authorities to trust instead of the usual ones."),
    ("AWS_EC2_METADATA_DISABLED", "\"true\": IMDS is not asked."),
    (
        "JOURNAL_STREAM, NOTIFY_SOCKET, WATCHDOG_USEC",
        "Set by systemd: log lines bear no time of their own, and natwatch watch tells that it is ready and alive.",
    ),
];

/// The page, in troff.
pub(super) fn page() -> String {
    let all = described();
    let mut page = Roff::new();
    // Without a date, which would be another one at each build.
    page.control("TH", ["natwatch", "1", " ", concat!("natwatch ", env!("CARGO_PKG_VERSION")), "natwatch"]);
    page.control("SH", ["NAME"]);
    page.text([roman("natwatch - keeps private subnets online when their AWS NAT instance dies")]);
    page.control("SH", ["SYNOPSIS"]);
    for (n, one) in all.iter().filter(|one| !one.words.is_empty()).enumerate() {
        if n > 0 {
            page.control("br", []);
        }
        synopsis(&mut page, one);
    }
    page.control("SH", ["EXAMPLES"]);
    for one in all.iter().filter(|one| one.words.is_empty()) {
        examples(&mut page, one.examples);
    }
    page.control("SH", ["DESCRIPTION"]);
    for (n, paragraph) in DESCRIPTION.iter().enumerate() {
        if n > 0 {
            page.control("PP", []);
        }
        page.text([roman(*paragraph)]);
    }
    page.control("SH", ["COMMANDS"]);
    for one in all.iter().filter(|one| !one.words.is_empty()) {
        command(&mut page, one);
    }
    page.control("SH", ["OPTIONS"]);
    page.text([roman("Of every command, before or after its name.")]);
    for argument in all.iter().filter(|one| one.words.is_empty()).flat_map(|one| &one.arguments) {
        item(&mut page, argument);
    }
    page.control("SH", ["EXIT STATUS"]);
    page.text([roman("Of run, takeover and failback, the first that applies:")]);
    for status in STATUSES {
        tagged(&mut page, &status.to_string(), exit_meaning(status));
    }
    for paragraph in OTHER_STATUSES {
        page.control("PP", []);
        page.text([roman(paragraph)]);
    }
    for (title, told) in [("FILES", &FILES[..]), ("ENVIRONMENT", &ENVIRONMENT)] {
        page.control("SH", [title]);
        for (name, what) in told {
            tagged(&mut page, name, what);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("natwatch.toml"),
        roman("(5), "),
        bold("ssh_config"),
        roman("(5), "),
        bold("systemd.timer"),
        roman("(5), "),
        bold("crontab"),
        roman("(5)"),
    ]);
    super::rendered(&page)
}

const DESCRIPTION: [&str; 3] = [
    "natwatch runs on the standby of two NAT instances. In every round it asks a random panel of backends (hosts in the private subnets), over SSH, to ping \
     randomly drawn targets on the internet, while the standby pings the same targets over its own uplink. When enough backends are cut off although the \
     targets answer the standby, in enough rounds over a long enough span, it takes over: every private subnet that is associated with the primary's route \
     table is associated with the standby's own.",
    "That happens once. A lock then keeps it from happening again until an operator has repaired the primary, and runs natwatch failback or natwatch reset.",
    "Nothing moves while a gate holds: booting (this instance or the primary has only just started), locked, paused, already-active (no guarded subnet is on \
     the primary's table), unfit (this instance could not carry the traffic), too-many (more subnets than takeover.max_subnets), foreign (a table or subnet \
     is not what the configuration says). What holds is said, with the remedy.",
];

const OTHER_STATUSES: [&str; 3] = [
    "check: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN, a bad configuration included; 64 usage.",
    "watch: 0 after SIGTERM, 2 when it can't go on, 64, 78. All others: 0, 2 failed, 64, 78.",
    "A pass that a signal has ended before anything was moved: 128 and the signal's number.",
];

fn synopsis(page: &mut Roff, one: &Described) {
    let mut text = vec![bold(format!("natwatch {}", one.words))];
    text.extend(one.arguments.iter().map(|argument| roman(format!(" {}", argument.synopsis))));
    page.text(text);
}

fn examples(page: &mut Roff, examples: &[Example]) {
    for (line, does) in examples {
        page.control("TP", []);
        page.text([bold(format!("natwatch {line}"))]);
        page.text([roman(*does)]);
    }
}

fn command(page: &mut Roff, one: &Described) {
    page.control("SS", [format!("natwatch {}", one.words).as_str()]);
    page.text([roman(format!("{}.", one.about))]);
    for argument in &one.arguments {
        item(page, argument);
    }
    page.control("PP", []);
    page.text([italic("Examples:")]);
    examples(page, one.examples);
}

fn item(page: &mut Roff, argument: &Argument) {
    // Writing to a String does not fail.
    let mut text = format!("{}.", argument.help);
    if !argument.values.is_empty() {
        let _ = write!(text, " One of: {}.", argument.values.join(", "));
    }
    if let Some(default) = &argument.default {
        let _ = write!(text, " Default: {default}.");
    }
    if let Some(name) = &argument.env {
        let _ = write!(text, " Without it: {name} of the environment.");
    }
    tagged(page, &argument.forms, &text);
}

fn tagged(page: &mut Roff, tag: &str, text: &str) {
    page.control("TP", []);
    page.text([bold(tag)]);
    page.text([roman(text)]);
}
