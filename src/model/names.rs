//! What people call what EC2 knows by ids: the `Name` tags that EC2 gave.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::{Change, GuardedSet, Instance, Move, RouteTable, Survey, printable};

/// The longest name in a sentence: EC2 allows 256 characters, and a sentence has several.
const LONGEST: usize = 60;

/// `Name` tags by id. They come from EC2 and go to people only: nothing is ever decided by a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// No names.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each id with its name, fit to print.
    pub fn iter(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(id, name)| (id.as_str(), printable(name, LONGEST)))
    }

    /// `id` is called so. Without a name, or with an empty one, nothing is learned.
    pub fn learn(&mut self, id: impl Display, name: Option<&str>) {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.0.insert(id.to_string(), name.to_owned());
        }
    }

    /// And what `other` knows, which is newer.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(id, name)| (id.clone(), name.clone())));
    }

    /// These tables' names.
    pub fn learn_tables<'t>(&mut self, tables: impl IntoIterator<Item = &'t RouteTable>) {
        for table in tables {
            self.learn(&table.id, table.name.as_deref());
        }
    }

    /// This instance's name.
    pub fn learn_instance(&mut self, instance: &Instance) {
        self.learn(&instance.id, instance.name.as_deref());
    }

    /// All that a survey knows.
    pub fn learn_survey(&mut self, survey: &Survey) {
        self.learn_tables(survey.tables.iter().flatten());
        let primary = survey.primary.as_ref().and_then(|asked| asked.as_ref().ok());
        for instance in survey.standby.iter().chain(primary).flatten() {
            self.learn_instance(instance);
        }
    }

    /// All that is known of the guarded subnets.
    pub fn learn_guarded(&mut self, guarded: &GuardedSet) {
        self.extend(&guarded.names);
        for one in &guarded.subnets {
            self.learn(&one.subnet, one.name.as_deref());
        }
    }

    /// What moves know of the subnets that they moved.
    pub fn learn_moves<'m>(&mut self, moves: impl IntoIterator<Item = &'m Move>) {
        for one in moves {
            if let Change::Association(plan) = &one.plan {
                self.learn(&plan.subnet, plan.name.as_deref());
            }
        }
    }

    /// An id with its name behind it, where it has one: `subnet-0a (app-a)`.
    #[must_use]
    pub fn of(&self, id: &str) -> String {
        self.0.get(id).map_or_else(|| id.to_owned(), |name| format!("{id} ({})", printable(name, LONGEST)))
    }

    /// `text` with each id's name behind it where it comes first. What stands in a command, to be pasted, stays as it is.
    #[must_use]
    pub fn tell(&self, text: &str) -> String {
        let mut told: Vec<&str> = Vec::new();
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        // The word before: whatever follows an option is its value.
        let mut before = "";
        let mut pasted = false;
        while !rest.is_empty() {
            let word = &rest[..rest.find(|c: char| !in_word(c)).unwrap_or(rest.len())];
            if word.is_empty() {
                let other = rest.chars().next().map_or(0, char::len_utf8);
                pasted &= !rest.starts_with(';');
                out.push_str(&rest[..other]);
                rest = &rest[other..];
                continue;
            }
            rest = &rest[word.len()..];
            out.push_str(word);
            pasted |= word == "aws" && rest.starts_with(" ec2 ");
            let name = self.0.get(word).filter(|_| !pasted && !before.starts_with("--") && !told.contains(&word));
            if let Some(name) = name.filter(|_| !rest.starts_with(" (")) {
                let name = printable(name, LONGEST);
                // No parentheses within parentheses: `eni-0b (i-0b, nat2)`.
                let within = rest.starts_with(')') && out[..out.len() - word.len()].ends_with('(');
                let (open, close) = if within { (", ", "") } else { (" (", ")") };
                out.extend([open, &name, close]);
                told.push(word);
            }
            before = word;
        }
        out
    }
}

/// What ids consist of, and options: `rtb-0a1b`, `--subnet`.
const fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::new();
        for (id, name) in [("subnet-0a", "app a"), ("rtb-0b", "standby"), ("i-0a", "nat\u{1b}[31m1"), ("rtb-0c", "")] {
            names.learn(id, Some(name));
        }
        names
    }

    #[test]
    fn an_id_has_its_name_behind_it_where_it_comes_first() {
        for (text, told) in [
            ("subnet-0a is on rtb-0b; subnet-0a stays", "subnet-0a (app a) is on rtb-0b (standby); subnet-0a stays"),
            ("rtb-0a -> rtb-0b", "rtb-0a -> rtb-0b (standby)"),
            ("rtb-0c, subnet-0ab", "rtb-0c, subnet-0ab"),
            ("eni-0a (i-0a)", "eni-0a (i-0a, nat\\u{1b}[31m1)"),
            ("subnet-0a (app a)  moved", "subnet-0a (app a)  moved"),
            ("größer: subnet-0a…", "größer: subnet-0a (app a)…"),
            ("", ""),
        ] {
            assert_eq!(names().tell(text), told);
        }
        assert_eq!(names().of("rtb-0b"), "rtb-0b (standby)");
        assert_eq!(Names::new().tell("subnet-0a is on rtb-0b"), "subnet-0a is on rtb-0b");
    }

    #[test]
    fn what_is_to_be_pasted_stays_as_it_is() {
        for text in [
            "aws ec2 replace-route-table-association --association-id rtbassoc-1 --route-table-id rtb-0b",
            "natwatch failback --subnet subnet-0a --yes",
            "somebody did; aws ec2 associate-route-table --route-table-id \"rtb-0b\" --subnet-ids x subnet-0a",
        ] {
            assert_eq!(names().tell(text), text);
        }
        let both = "gone: aws ec2 describe-subnets subnet-0a; subnet-0a is gone";
        assert_eq!(names().tell(both), "gone: aws ec2 describe-subnets subnet-0a; subnet-0a (app a) is gone");
    }

    #[test]
    fn f035_a_name_of_any_length_and_content_is_escaped_and_shortened() {
        let mut names = Names::new();
        names.learn("subnet-0a", Some(&format!("\u{202e}{}\n", "x".repeat(256))));
        let told = names.tell("subnet-0a");
        assert!(told.starts_with("subnet-0a (\\u{202e}xx") && told.ends_with("x…)"), "{told}");
        assert!(!told.contains('\n') && told.len() < 100, "{told}");
    }
}
