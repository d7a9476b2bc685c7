//! What the texts of the program are not: reads `src/` and fails, with file and line, where a user would be shown what is Rust's
//! or the SDK's and nobody else's.

#![expect(clippy::unwrap_used, reason = "what can't be read here fails the test, and says where")]

use std::fs;
use std::path::{Path, PathBuf};

/// Files that format by `Debug`, how often, and why nobody is shown it.
const DEBUG: [(&str, usize, &str); 4] = [
    ("ec2/credentials.rs", 1, "the SDK tells who provided credentials nowhere else, and it is read and not shown"),
    ("report/log.rs", 1, "how tracing hands a message over, which is text that was formatted before"),
    ("report/live.rs", 1, "compared with what it was before, to see whether anything has changed, and never printed"),
    ("report/live/seen.rs", 4, "likewise"),
];

/// Words that mean something to who reads the source, and to nobody else.
const STRANGE: [&str; 13] = [
    "SdkError",
    "aws_sdk",
    "aws_smithy",
    "hyper",
    "rustls",
    "tokio",
    "serde",
    "regex-lite",
    "Option<",
    "Some(",
    "Err(",
    "unwrap",
    "panick",
];

/// Each file's path below `src/`, and its text before the tests.
fn production() -> Vec<(String, String)> {
    fn read(folder: &Path, root: &Path, all: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let path = entry.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if entry.is_dir() {
                if entry.file_name().unwrap() != "tests" {
                    read(&entry, root, all);
                }
            } else if !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&entry).unwrap();
                all.push((path, text.split("\n#[cfg(test)]").next().unwrap().to_owned()));
            }
        }
    }
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    read(&root, &root, &mut all);
    all.sort();
    assert!(all.len() > 100, "src/ was not read");
    all
}

/// The strings of a text with the lines that they begin on; what stands in comments is none.
fn strings(text: &str) -> Vec<(usize, String)> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    let next = |at: usize| chars.get(at + 1).copied();
    while at < chars.len() {
        match chars[at] {
            '\n' => line += 1,
            '/' if next(at) == Some('/') => {
                at += chars[at..].iter().position(|c| *c == '\n').unwrap_or(chars.len() - at);
                continue;
            }
            // A character, not a lifetime.
            '\'' if next(at) == Some('\\') || chars.get(at + 2) == Some(&'\'') => {
                let from = at + if next(at) == Some('\\') { 3 } else { 2 };
                at = from + chars[from..].iter().position(|c| *c == '\'').unwrap_or(0);
            }
            'r' if matches!(next(at), Some('"' | '#')) => {
                let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
                if chars.get(at + 1 + hashes) == Some(&'"') {
                    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                    let body = at + 2 + hashes;
                    let length = chars[body..].windows(end.len()).position(|some| some == end).unwrap();
                    found.push((line, chars[body..body + length].iter().collect()));
                    line += chars[body..body + length].iter().filter(|c| **c == '\n').count();
                    at = body + length + end.len() - 1;
                }
            }
            '"' => {
                let begun = line;
                let mut string = String::new();
                at += 1;
                while chars[at] != '"' {
                    line += usize::from(chars[at] == '\n');
                    string.push(chars[at]);
                    if chars[at] == '\\' {
                        at += 1;
                        line += usize::from(chars[at] == '\n');
                        string.push(chars[at]);
                    }
                    at += 1;
                }
                found.push((begun, string));
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// How many of a format string's places are filled by `Debug`: `{x:?}`, `{:#?}`, `{:>8?}`.
fn debugged(string: &str) -> usize {
    string
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .filter(|(inner, _)| inner.contains(':') && inner.ends_with('?'))
        .count()
}

#[test]
fn no_message_is_made_by_debug() {
    let mut faults = Vec::new();
    for (path, text) in production() {
        let all: Vec<(usize, usize)> = strings(&text)
            .into_iter()
            .map(|(line, string)| (line, debugged(&string)))
            .filter(|(_, n)| *n > 0)
            .collect();
        let count: usize = all.iter().map(|(_, n)| n).sum();
        match DEBUG.iter().find(|(excused, ..)| *excused == path) {
            Some((_, expected, why)) if count != *expected => {
                faults.push(format!("src/{path}: {count} times by Debug, and {expected} are excused: {why}"));
            }
            Some(_) => {}
            None => faults
                .extend(all.iter().map(|(line, _)| {
                    format!("src/{path}:{line}: formats by Debug, which is for who reads the source")
                })),
        }
        // `tracing::warn!(?value)` is the same.
        for (n, line) in text.lines().enumerate().filter(|(_, line)| line.contains("tracing::")) {
            if line.contains("(?") || line.contains(", ?") || line.contains("= ?") {
                faults.push(format!("src/{path}:{}: logs by Debug", n + 1));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_message_has_a_name_that_only_the_source_knows() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for (path, text) in production() {
        for (line, string) in strings(&text) {
            seen += 1;
            for word in STRANGE.iter().filter(|word| string.contains(**word)) {
                faults.push(format!("src/{path}:{line}: {word:?} in {string:?}"));
            }
        }
    }
    assert!(seen > 1000, "{seen} strings were looked at");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn strings_are_found_and_nothing_else_is() {
    let text = "let a = \"one {x:?}\"; // \"no\nlet b = r#\"t\"wo\"#; let c: &'a str = \"th\\\"ree\";\nlet q = '\"'; \"four\\\n  five\"; \"{:>8?} {y} {z:#?}\"\n";
    let found = strings(text);
    let texts: Vec<(usize, &str)> = found.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(
        texts,
        [(1, "one {x:?}"), (2, "t\"wo"), (2, "th\\\"ree"), (3, "four\\\n  five"), (4, "{:>8?} {y} {z:#?}")]
    );
    assert_eq!(found.iter().map(|(_, text)| debugged(text)).collect::<Vec<_>>(), [1, 0, 0, 0, 2]);
}
