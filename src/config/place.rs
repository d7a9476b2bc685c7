//! Where the keys of a configuration stand, for who is told to change one of them.
//!
//! Of a file that can't be read, or is no TOML, no lines are known: the keys are named all the same.

use std::collections::BTreeMap;
use std::path::Path;

use super::{file, shown};

/// The lines of one configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    file: String,
    keys: BTreeMap<&'static str, usize>,
    tables: BTreeMap<&'static str, usize>,
}

impl Places {
    /// Those of the file at `path`.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        Self::of(path, &std::fs::read_to_string(path).unwrap_or_default())
    }

    /// Those of `text`, which is at `path`.
    #[must_use]
    pub fn of(path: &Path, text: &str) -> Self {
        let name = shown(path);
        let document = file::read(text, &name).0.unwrap_or_default();
        let keys = document.items.iter().filter_map(|(key, item)| Some((*key, item.line?))).collect();
        Self { file: name, keys, tables: document.tables }
    }

    /// Whether the key is written.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The place of a key's line, and what that line is to be: a new one below the head of its table where it is not written.
    #[must_use]
    pub fn change(&self, key: &str, line: &str) -> String {
        let file = &self.file;
        if let Some(number) = self.keys.get(key) {
            return format!("line {number} of {file} ({key}): {line}");
        }
        let table = key.split_once('.').map_or("", |(table, _)| table);
        match self.tables.get(table) {
            Some(number) => format!("below line {number} of {file}, [{table}]: {line}"),
            None if table.is_empty() => format!("at the top of {file}: {line}"),
            None => format!("at the end of {file}, below a line [{table}]: {line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_its_line_below_its_table_or_where_it_would_be() {
        let text = "# ours\n[primary]\nroute_table = \"rtb-0a\"\n\n[targets]\nhosts = [\n  \"1.1.1.1\",\n]\n";
        let places = Places::of(Path::new("/etc/natwatch/n.toml"), text);
        for (key, expected) in [
            ("primary.route_table", "line 3 of /etc/natwatch/n.toml (primary.route_table): x"),
            ("targets.hosts", "line 6 of /etc/natwatch/n.toml (targets.hosts): x"),
            ("targets.timeout", "below line 5 of /etc/natwatch/n.toml, [targets]: x"),
            ("standby.region", "at the end of /etc/natwatch/n.toml, below a line [standby]: x"),
            ("name", "at the top of /etc/natwatch/n.toml: x"),
        ] {
            assert_eq!(places.change(key, "x"), expected);
        }
        assert!(places.has("targets.hosts") && !places.has("targets.timeout"));
        let none = Places::read(Path::new("/nowhere/n.toml"));
        assert_eq!(none.change("name", "x"), "at the top of /nowhere/n.toml: x");
    }
}
