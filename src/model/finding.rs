//! What `doctor` found: whether this standby could take over, and whether the backends could witness.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::evidence::words;

words! {
    /// What a finding says of one precondition.
    Fitness {
        /// It is as it must be.
        Fit => "fit",
        /// A takeover would work, and somebody should look.
        Warning => "warning",
        /// A takeover would not happen, or would not help.
        Unfit => "unfit",
        /// It could not be told.
        Unknown => "unknown",
    }
}

words! {
    /// What a finding is about; they are printed in this order.
    Topic {
        /// The configuration and the files that it names.
        Configuration => "configuration",
        /// Which instance this is, and where.
        Identity => "identity",
        /// Credentials, and what they allow.
        Permissions => "permissions",
        /// The route tables and their routes.
        Routes => "routes",
        /// The guarded subnets.
        Subnets => "subnets",
        /// Whether this instance could carry the traffic.
        Forwarding => "forwarding",
        /// How this instance itself reaches the internet and EC2.
        Uplink => "uplink",
        /// Who is asked to ping.
        Backends => "backends",
        /// What is pinged.
        Targets => "targets",
        /// The state folder: lock, history, drills.
        State => "state",
        /// What runs natwatch: cron or systemd.
        Service => "service",
    }
}

/// One precondition, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub topic: Topic,
    /// The precondition, a fixed word for machines: `source-dest-check`.
    pub id: &'static str,
    /// What it is of, where there are several: a host, an id, an action.
    pub of: Option<String>,
    /// What it says.
    pub fitness: Fitness,
    /// In which of its ways the precondition is not met, a fixed word for machines: `switched-off`. `None`: it is met.
    pub cause: Option<&'static str>,
    /// What was found, one line.
    pub text: String,
    /// More lines where one is not enough, such as a difference of tables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What to do, where anything is to be done: a command to paste where there is one.
    pub remedy: Option<String>,
    /// What somebody has to decide, and where that is written: the remedy where no command can know what is meant.
    #[serde(skip)]
    pub changes: Vec<Edit>,
}

/// A line that is to be changed by somebody who knows what is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Of the configuration: the key, and what the line is to be.
    Key(&'static str, String),
    /// Of another file: the line that has this word, or a new one; and what it is to be.
    Line(PathBuf, Option<String>, String),
}

impl Finding {
    /// A finding with neither details nor remedy.
    #[must_use]
    pub const fn new(topic: Topic, id: &'static str, fitness: Fitness, text: String) -> Self {
        Self { topic, id, of: None, fitness, cause: None, text, details: Vec::new(), remedy: None, changes: Vec::new() }
    }

    /// With the way in which the precondition is not met.
    #[must_use]
    pub const fn cause(mut self, cause: &'static str) -> Self {
        self.cause = Some(cause);
        self
    }

    /// With a key of the configuration that is to be changed, and what its line is to be.
    #[must_use]
    pub fn change(self, key: &'static str, line: impl Into<String>) -> Self {
        self.changed(Edit::Key(key, line.into()))
    }

    /// With a line that is to be changed.
    #[must_use]
    pub fn changed(mut self, change: Edit) -> Self {
        self.changes.push(change);
        self
    }

    /// With what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Of one among several.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a name, an id, a family: whatever is at hand, and it is told")]
    pub fn of(mut self, what: impl ToString) -> Self {
        self.of = Some(what.to_string());
        self
    }

    /// With more lines.
    #[must_use]
    pub fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

/// A word of a command as a POSIX shell takes it, whatever is in it: a path from a configuration may have a blank or an apostrophe.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_of_a_command_stays_one_word() {
        for (word, expected) in [
            ("/etc/natwatch/id_ed25519", "/etc/natwatch/id_ed25519"),
            ("/etc/nat watch", "'/etc/nat watch'"),
            ("[10.0.0.1]:22", "'[10.0.0.1]:22'"),
            ("it's", "'it'\\''s'"),
            ("$(id)", "'$(id)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
