//! The sample configuration, made from the table of keys, and the same with what is known filled in. `deploy/natwatch.toml` is the
//! former.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::keys::{KEYS, Presence};

/// What is known of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filled {
    /// The value, in TOML; `None`: the key stays a comment, with an example.
    pub value: Option<String>,
    /// Why it is this, or what to choose from: a line each, fit to print.
    pub notes: Vec<String>,
}

/// A configuration in which only what is required is written; every other key is a comment with its default, or with
/// an example where it has none. `# ` begins prose, `#` alone a key.
#[must_use]
pub fn sample() -> String {
    let head = "# natwatch on the standby NAT instance. Fill in what is not a comment, and the backends.\n";
    filled(head, &BTreeMap::new())
}

/// The same below `head` (comments, each line with its end), with what is known of the keys of these paths.
#[must_use]
pub fn filled(head: &str, known: &BTreeMap<&str, Filled>) -> String {
    let mut text = format!("{head}# A key behind `#` shows its default, or an example where it has none.\n");
    let mut table = "";
    for key in KEYS {
        let (of, own) = key.split();
        let (prefix, value, note) = match key.presence {
            Presence::Required(example) => ("", example, format!("Required: {}.", key.accepted())),
            Presence::Default(default) => ("#", default, format!("Accepted: {}.", key.accepted())),
            Presence::Optional(example, unset) => {
                ("#", example, format!("Accepted: {}. Without it: {unset}.", key.accepted()))
            }
        };
        if of != table {
            table = of;
            // Writing to a String does not fail.
            let _ = write!(text, "\n[{table}]\n");
        } else if of.is_empty() {
            text.push('\n');
        }
        let _ = write!(text, "# {}\n# {note}\n", key.doc);
        let Some(found) = known.get(key.path) else {
            let _ = writeln!(text, "{prefix}{own} = {value}");
            continue;
        };
        for note in &found.notes {
            let _ = writeln!(text, "# > {note}");
        }
        match &found.value {
            Some(value) => writeln!(text, "{own} = {value}"),
            None => writeln!(text, "#{own} = {value}"),
        }
        .unwrap_or_default();
    }
    text
}
