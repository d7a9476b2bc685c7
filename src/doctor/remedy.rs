//! The last words on what is to be done: a command stays as it is, and of what somebody has to decide the line is named in which that is written.
//!
//! It changes no file.

use crate::config::Places;
use crate::model::{Edit, Finding, printable};

/// A hosts file has some thousand lines at most; of more, the place is not looked for.
const LARGEST: u64 = 1 << 20;

/// Of a word from outside.
const SHOWN: usize = 100;

/// Names the lines: as the remedy, where there is no command, else as details beside it.
pub(super) fn settle(findings: &mut [Finding], places: &Places) {
    for finding in findings {
        let said: Vec<String> = finding.changes.iter().map(|change| said(change, places)).collect();
        if said.is_empty() {
            continue;
        }
        if finding.remedy.is_none() {
            finding.remedy = Some(said.join("; or "));
        } else {
            finding.details.extend(said);
        }
    }
}

fn said(change: &Edit, places: &Places) -> String {
    match change {
        Edit::Key(key, line) => places.change(key, line),
        Edit::Line(file, word, line) => {
            let small = std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
            let text = if small { std::fs::read_to_string(file).unwrap_or_default() } else { String::new() };
            let shown = printable(&file.to_string_lossy(), SHOWN);
            match word.as_deref().map(|word| (word, line_with(&text, word))) {
                Some((_, Some(number))) => format!("line {number} of {shown}: {line}"),
                // It is one of those that the configuration itself lists.
                Some((_, None)) if places.has("backends.hosts") => places.change("backends.hosts", line),
                Some((word, None)) => format!("{shown}, where it says {}: {line}", printable(word, SHOWN)),
                None => format!("a new line of {shown}: {line}"),
            }
        }
    }
}

/// The first line that has this word, and is more than a comment.
fn line_with(text: &str, word: &str) -> Option<usize> {
    let has = |line: &str| line.split('#').next().unwrap_or_default().split_whitespace().any(|one| one == word);
    text.lines().position(has).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::{Fitness, Topic};

    #[test]
    fn what_somebody_has_to_decide_is_said_with_its_line_and_stands_beside_a_command() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = dir.path().join("hosts");
        std::fs::write(&hosts, "# 10.0.10.7 web1\n10.0.10.7 web1 www\n").unwrap();
        let shown = hosts.display();
        let text = "[targets]\nhosts = []\n[backends]\nhosts = [\"web3\"]\n";
        let places = Places::of(Path::new("/etc/n.toml"), text);
        let line = |word: Option<&str>| Edit::Line(hosts.clone(), word.map(str::to_owned), "x".to_owned());
        for (change, expected) in [
            (
                Edit::Key("targets.hosts", "hosts = [\"ANOTHER\"]".to_owned()),
                "line 2 of /etc/n.toml (targets.hosts): hosts = [\"ANOTHER\"]".to_owned(),
            ),
            (line(Some("www")), format!("line 2 of {shown}: x")),
            (line(Some("web3")), "line 4 of /etc/n.toml (backends.hosts): x".to_owned()),
            (line(None), format!("a new line of {shown}: x")),
        ] {
            assert_eq!(said(&change, &places), expected);
        }
        assert_eq!(said(&line(Some("web3")), &Places::default()), format!("{shown}, where it says web3: x"));
        let finding = || Finding::new(Topic::Targets, "target", Fitness::Warning, String::new());
        let both = || finding().change("targets.hosts", "a").change("name", "b");
        let mut all = [finding(), both(), both().remedy("natwatch check")];
        settle(&mut all, &places);
        let lines = ["line 2 of /etc/n.toml (targets.hosts): a", "at the top of /etc/n.toml: b"];
        assert_eq!((all[0].remedy.as_deref(), all[1].remedy.clone()), (None, Some(lines.join("; or "))));
        assert_eq!(
            (all[2].remedy.as_deref(), &all[2].details[..]),
            (Some("natwatch check"), &lines.map(str::to_owned)[..])
        );
    }
}
