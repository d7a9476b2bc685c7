//! natwatch.toml(5), made of the table of keys: what each is for, what is accepted, and what holds where it is not written.

use roff::{Roff, bold, roman};

use crate::config::{KEYS, Key, Presence};

/// A configuration with what a pair of NAT instances needs, and no more.
const EXAMPLE: &str = r#"[primary]
route_table = "rtb-0aaa"
instance = "i-0aaa"

[standby]
route_table = "rtb-0bbb"

[backends]
hosts_file = "/etc/natwatch/hosts"
user = "natwatch"
identity = "/etc/natwatch/id_ed25519"
known_hosts = "/var/lib/natwatch/known_hosts"

[targets]
hosts = ["1.1.1.1", "8.8.8.8", "9.9.9.9"]"#;

const DESCRIPTION: [&str; 3] = [
    "The file is TOML. Durations are strings: \"500ms\", \"3s\", \"5m\", \"1h\". An unknown key, a wrong type, and a value out of range are errors that name file, \
     line, key, value and what is accepted; all of them are told in one run. A configuration or a key that others than its owner and root can write is refused.",
    "The backends are the union of backends.hosts and backends.hosts_file, without duplicates; one of the two is needed.",
    "natwatch watch reads the file again on SIGHUP; one that is not valid changes nothing. All other commands read it once, when they start.",
];

/// The page, in troff.
pub(super) fn page() -> String {
    let mut page = Roff::new();
    // Without a date, which would be another one at each build.
    page.control("TH", ["natwatch.toml", "5", " ", concat!("natwatch ", env!("CARGO_PKG_VERSION")), "natwatch"]);
    page.control("SH", ["NAME"]);
    page.text([roman("natwatch.toml - configuration of natwatch")]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([roman("/etc/natwatch/natwatch.toml, else what natwatch --config or NATWATCH_CONFIG names")]);
    page.control("SH", ["EXAMPLES"]);
    page.control("nf", []);
    for line in EXAMPLE.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
    page.control("SH", ["DESCRIPTION"]);
    for (n, paragraph) in DESCRIPTION.iter().enumerate() {
        if n > 0 {
            page.control("PP", []);
        }
        page.text([roman(*paragraph)]);
    }
    page.control("SH", ["KEYS"]);
    let mut table = "";
    for key in KEYS {
        let (of, _) = key.split();
        if of != table {
            table = of;
            page.control("SS", [format!("[{table}]").as_str()]);
        }
        item(&mut page, key);
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("natwatch"), roman("(1), "), bold("ssh_config"), roman("(5)")]);
    super::rendered(&page)
}

fn item(page: &mut Roff, key: &Key) {
    let (of, own) = key.split();
    let accepted = key.accepted();
    let holds = match key.presence {
        Presence::Required(example) => format!("Required, such as {example}."),
        Presence::Default(default) => format!("Default: {default}."),
        Presence::Optional(example, unset) => format!("Such as {example}. Without it: {unset}."),
    };
    page.control("TP", []);
    page.text([bold(own), roman(if of.is_empty() { String::new() } else { format!(" (in [{of}])") })]);
    page.text([roman(key.doc)]);
    page.control("br", []);
    page.text([roman(format!("Accepted: {accepted}. {holds}"))]);
}
