//! natwatch's configuration for a lab. Knows the keys' names from the contract, and nothing of their meaning.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::accounts::USER;
use crate::plan::{Plan, REGION, target};
use crate::vpc::Ids;

/// Keys with their sections, and values in TOML.
type Keys = BTreeMap<String, String>;

fn defaults(plan: &Plan, ids: &Ids, reply: Option<Duration>) -> Keys {
    let quoted = |text: &dyn std::fmt::Display| format!("\"{text}\"");
    let targets = (1..=3).map(|n| quoted(&target(n))).collect::<Vec<_>>().join(", ");
    let reply = reply.map(|reply| ("targets.timeout", format!("\"{}ms\"", reply.as_millis())));
    [
        ("primary.route_table", quoted(&ids.primary.table)),
        ("standby.route_table", quoted(&ids.standby.table)),
        ("standby.region", quoted(&REGION)),
        ("backends.hosts_file", quoted(&plan.hosts_file().display())),
        ("backends.user", quoted(&USER)),
        ("backends.identity", quoted(&plan.identity().display())),
        ("backends.known_hosts", quoted(&plan.known_hosts().display())),
        ("targets.hosts", format!("[{targets}]")),
        // The machine under the lab may have been up for a minute only.
        ("decision.min_uptime", quoted(&"0s")),
        ("state.dir", quoted(&plan.state().display())),
    ]
    .into_iter()
    .chain(reply)
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// The configuration with some keys changed: `("decision.threshold", "2")`, values in TOML; an empty value removes the key.
pub(crate) fn render(plan: &Plan, ids: &Ids, reply: Option<Duration>, changes: &[(&str, &str)]) -> String {
    let mut keys = defaults(plan, ids, reply);
    for (key, value) in changes {
        if value.is_empty() {
            keys.remove(*key);
        } else {
            keys.insert((*key).to_owned(), (*value).to_owned());
        }
    }
    let mut text = String::new();
    let (nested, top): (Keys, Keys) = keys.into_iter().partition(|(key, _)| key.contains('.'));
    for (key, value) in top {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    }
    let mut open = String::new();
    for (key, value) in nested {
        let Some((section, key)) = key.split_once('.') else { continue };
        if section != open {
            let _ = writeln!(text, "\n[{section}]");
            section.clone_into(&mut open);
        }
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}
