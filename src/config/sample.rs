//! The sample configuration, made from the table of keys. `deploy/natwatch.toml` is this text.

use std::fmt::Write as _;

use super::keys::{KEYS, Presence};

/// A configuration in which only what is required is written; every other key is a comment with its default, or with
/// an example where it has none. `# ` begins prose, `#` alone a key.
#[must_use]
pub fn sample() -> String {
    let mut text = String::from(
        "# natwatch on the standby NAT instance. Fill in what is not a comment, and the backends.\n\
         # A key behind `#` shows its default, or an example where it has none.\n",
    );
    let mut table = "";
    for key in KEYS {
        let (of, own) = key.split();
        let (prefix, value, note) = match key.presence {
            Presence::Required(example) => ("", example, format!("Required: {}.", key.accepted())),
            Presence::Default(default) => ("#", default, format!("Accepted: {}.", key.accepted())),
            Presence::Optional(example, unset) => ("#", example, format!("Accepted: {}. Without it: {unset}.", key.accepted())),
            Presence::Later(_) => continue,
        };
        if of != table {
            table = of;
            // Writing to a String does not fail.
            let _ = write!(text, "\n[{table}]\n");
        } else if of.is_empty() {
            text.push('\n');
        }
        let _ = write!(text, "# {}\n# {note}\n{prefix}{own} = {value}\n", key.doc);
    }
    text
}
