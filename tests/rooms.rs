//! Who may know whom: reads `src/` and fails, with file and line, on what the table of rooms does not have.
//!
//! The tables below are those of `ARCHITECTURE.md`. A room or a crate that is in no table is a failure, so that a new one is
//! a decision and not an accident. Tests are free to use what they like: what is below `#[cfg(test)]` is not looked at.

#![expect(clippy::unwrap_used, reason = "what can't be read here fails the test, and says where")]

use std::fmt::Write as _;
use std::path::Path;

/// What of a room may be used.
#[derive(Debug, Clone, Copy)]
enum Of {
    All,
    /// These items only.
    Only(&'static [&'static str]),
}
use Of::{All, Only};

/// What every command and service may use of the stages: the traits by which the outside comes in.
const TRAITS: [(&str, Of); 3] = [
    ("observe", Only(&["Vantages", "Uplink"])),
    ("preflight", Only(&["Cloud", "Host", "Identity", "Atlas"])),
    ("act", Only(&["Changer", "Routes", "Addresses", "Held", "ChangeError"])),
];

/// A room, and what it may use of others.
#[expect(clippy::too_many_lines, reason = "a table")]
fn allowed(room: &str) -> Option<Vec<(&'static str, Of)>> {
    let model = ("model", All);
    Some(match room {
        "model" | "cli" | "lib" | "limits" => vec![],
        // Parse, run, print.
        "main" => vec![("cli", All), ("run", All), ("report", All)],
        "config" => vec![
            ("cli", All),
            model,
            ("observe", Only(&["ObserveSettings", "SshSettings", "HostKeys", "TargetName"])),
            ("decide", Only(&["DecideSettings"])),
            ("preflight", Only(&["PreflightSettings"])),
            ("act", Only(&["ActSettings"])),
            ("notify", Only(&["NotifySettings", "usable"])),
        ],
        "observe" | "decide" | "preflight" | "act" | "record" | "report" | "daemon" => vec![model],
        // What `doctor` asks besides, in its words.
        "ec2" => vec![model, TRAITS[1], TRAITS[2], ("doctor", Only(&["cloud"]))],
        "notify" => [vec![model], TRAITS.to_vec()].concat(),
        // Looks at all that the stages go by, with their own clients, and changes nothing.
        "doctor" => vec![
            ("cli", All),
            ("config", All),
            model,
            ("observe", All),
            ("preflight", All),
            ("decide", All),
            TRAITS[2],
            ("ec2", All),
            ("notify", Only(&["finding", "self", ""])),
            ("record", All),
            ("report", All),
            ("run", Only(&["facts", "fleet", "signal", "style"])),
        ],
        // Before there is a configuration: it asks EC2, and writes one file.
        "init" => [
            vec![("cli", All), ("config", All), ("confirm", All), model, ("ec2", All), ("report", All)],
            TRAITS.to_vec(),
        ]
        .concat(),
        // What an operator asks for: a pass of `run`'s, shown, confirmed and told.
        "takeover" | "failback" | "drill" => vec![
            ("cli", All),
            ("config", Only(&["Settings"])),
            ("confirm", All),
            model,
            ("record", Only(&["State"])),
            ("report", All),
            (
                "run",
                Only(&[
                    "clients", "pass", "failback", "drill", "planned", "make", "open", "tell", "Deed", "Post",
                    "Signals", "Stop", "self",
                ]),
            ),
        ],
        "history" => vec![
            ("cli", All),
            ("config", Only(&["Settings"])),
            model,
            ("record", All),
            ("report", All),
            ("run", Only(&["style"])),
        ],
        "confirm" => vec![model, ("report", Only(&["ask", "progress", ""])), ("run", Only(&["Signals"]))],
        // Commands that read and print: the stages meet in them, but nothing is changed in AWS. Of `record`, it takes no lock that others
        // wait for.
        "status" => vec![
            ("cli", All),
            ("config", All),
            model,
            ("decide", All),
            ("observe", Only(&["icmp", "Uplink"])),
            ("preflight", All),
            ("ec2", All),
            ("record", All),
            ("report", All),
            ("run", Only(&["style"])),
        ],
        // Makes a pass of its own, in which nothing is changed.
        "check" => vec![
            ("cli", All),
            ("config", All),
            model,
            ("decide", All),
            ("record", All),
            ("report", All),
            ("run", Only(&["clients", "pass", "signal"])),
        ],
        "reset" => {
            vec![
                ("cli", All),
                ("config", All),
                ("confirm", All),
                model,
                ("record", All),
                ("report", All),
                ("run", Only(&["Deed", "Post", "Signals", "lag"])),
                ("status", All),
            ]
        }
        "pause" => {
            vec![
                ("cli", All),
                ("config", Only(&["Settings", "duration"])),
                model,
                ("record", All),
                ("report", All),
                ("run", Only(&["Deed", "Post", "Signals"])),
            ]
        }
        "print" => vec![
            ("cli", Only(&["Print", "Page", "Described", "Argument", "Example", "described", "completions"])),
            ("config", Only(&["KEYS", "Key", "Presence"])),
            model,
            ("ec2", Only(&["iam_policy"])),
            ("observe", Only(&["ssh"])),
            ("report", Only(&["stdout", "exit_meaning"])),
        ],
        // Decides again from a file: whatever it could ask besides would be another input.
        "replay" => vec![
            ("cli", All),
            ("config", Only(&["duration"])),
            model,
            ("decide", All),
            ("record", Only(&["round", "parse", "READ_LIMIT", "VERSION"])),
            ("report", All),
        ],
        "run" | "watch" => ROOMS.iter().map(|room| (*room, All)).collect(),
        _ => return None,
    })
}

/// Every room that may be used by another.
const ROOMS: [&str; 27] = [
    "model",
    "cli",
    "config",
    "observe",
    "decide",
    "preflight",
    "act",
    "record",
    "daemon",
    "ec2",
    "report",
    "doctor",
    "failback",
    "drill",
    "init",
    "notify",
    "pause",
    "run",
    "status",
    "check",
    "reset",
    "replay",
    "limits",
    "print",
    "confirm",
    "takeover",
    "history",
];

/// A crate made for one job is named in one place: a file, or a folder where the path ends in `/`.
const OWNED: [(&str, &[&str]); 14] = [
    ("openssh", &["observe/ssh.rs"]),
    ("surge_ping", &["observe/icmp.rs"]),
    ("fs2", &["record/lock.rs", "record/lock/"]),
    ("prometheus", &["report/metrics.rs"]),
    ("sd_notify", &["daemon/manager.rs"]),
    ("aws_config", &["ec2.rs", "ec2/"]),
    ("aws_sdk_ec2", &["ec2.rs", "ec2/"]),
    ("aws_smithy_http_client", &["ec2.rs", "ec2/"]),
    // What was typed, and what of it is told: its examples, and as plain data for the manual.
    ("clap", &["cli.rs", "cli/examples.rs", "cli/describe.rs"]),
    ("clap_complete", &["cli/completions.rs"]),
    // Two pages, of two tables.
    ("roff", &["print.rs", "print/"]),
    // A scenario is written by hand as a configuration is, and means something else: each reads its own.
    ("toml", &["config.rs", "config/", "replay/"]),
    ("regex_lite", &["config.rs", "config/"]),
    ("tracing_subscriber", &["report/log.rs"]),
];

/// Crates that are vocabulary: errors, time, numbers, waiting, bytes. Any room may speak it.
const SHARED: [&str; 13] = [
    "anyhow",
    "futures_util",
    "ipnet",
    "jiff",
    "rand",
    "rustix",
    "serde",
    "serde_json",
    "tempfile",
    "thiserror",
    "tokio",
    "tracing",
    "natwatch",
];

/// Lines of production code that a file has at most.
const LINES: usize = 300;

/// Files that break one rule with a reason: path, rule, reason. An excuse that is not needed any more is a fault.
const EXCUSED: [(&str, Rule, &str); 5] = [
    (
        "config/reader.rs",
        Rule::Hook,
        "notes what it is asked for, so that a test can compare that with the table of keys",
    ),
    (
        "ec2/credentials.rs",
        Rule::Debug,
        "the SDK tells who provided credentials nowhere else, and it is read and not shown",
    ),
    ("report/log.rs", Rule::Debug, "tracing hands on messages, and what is shown by Display, as if by Debug"),
    ("report/live.rs", Rule::Debug, "compares two sights by it, and shows it to nobody"),
    ("report/live/seen.rs", Rule::Debug, "likewise"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Length,
    Hook,
    /// Nobody is shown what `Debug` makes: neither by a format nor as a field of an event.
    Debug,
}

fn excused(source: &Source, rule: Rule) -> bool {
    EXCUSED.iter().any(|(path, what, _)| *path == source.path && *what == rule)
}

/// A file of `src/`: its path from there, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// `tests.rs` and what is below `tests/`.
    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// How many modules deep the file is: `decide.rs` is one, `decide/gates.rs` two.
    fn depth(&self) -> usize {
        if self.path == "lib.rs" || self.path == "main.rs" { 0 } else { self.path.split('/').count() }
    }
}

fn found(source: &Source, line: usize, what: &str) -> String {
    format!("src/{}:{line}: {what}", source.path)
}

/// Comments, strings and characters blanked, line by line, so that only code is read.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let blank = |out: &mut String, from: usize, to: usize| {
        out.extend(chars[from..to.min(chars.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    };
    while at < chars.len() {
        let rest = &chars[at..];
        let starts = |word: &str| word.chars().enumerate().all(|(n, c)| rest.get(n) == Some(&c));
        let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        let length = if starts("//") {
            rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
        } else if starts("/*") {
            block_comment(rest)
        } else if !after_word && (starts("r\"") || starts("r#") || starts("br\"") || starts("br#")) {
            raw_string(rest).unwrap_or(0)
        } else if starts("\"") {
            quoted(rest, '"')
        } else if starts("'") && (rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'')) {
            quoted(rest, '\'')
        } else {
            0
        };
        if length == 0 {
            out.push(chars[at]);
            at += 1;
        } else {
            blank(&mut out, at, at + length);
            at += length;
        }
    }
    out
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// `None`: a raw identifier.
fn raw_string(rest: &[char]) -> Option<usize> {
    let from = rest.iter().position(|c| *c == '#' || *c == '"')?;
    let hashes = rest[from..].iter().take_while(|c| **c == '#').count();
    if rest.get(from + hashes) != Some(&'"') {
        return None;
    }
    let mut end = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    let body = from + hashes + 1;
    let close = rest[body..].windows(end.len()).position(|window| window == end);
    Some(close.map_or(rest.len(), |at| body + at + end.len()))
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// How tests in a file of their own are declared.
const DECLARED: [&str; 2] = ["#[cfg(test)]\nmod tests;", "#[cfg(test)]\npub(super) mod tests;"];

/// The code before the tests, which come last, and how many lines that is. What else stands under `#[cfg(test)]`, or below
/// the tests, is found fault with; the rest of a file with such a hook is looked at all the same.
fn production(source: &Source, faults: &mut Vec<(Rule, String)>) -> (String, usize) {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let code = code(&source.text);
    let line_of = |at: usize| code[..at].matches('\n').count() + 1;
    for (at, _) in code.match_indices(ATTRIBUTE) {
        let tests = code[at + ATTRIBUTE.len()..].trim_start();
        // For the tests of the room above, that of `doctor` which looks at all of its files' findings.
        let tests = tests.strip_prefix("pub(super) ").unwrap_or(tests);
        let after = if let Some(rest) = tests.strip_prefix("mod tests;") {
            rest
        } else if let Some(rest) = tests.strip_prefix("mod tests {") {
            rest.split_once("\n}").map_or("", |(_, after)| after)
        } else {
            let what = "#[cfg(test)] on anything but `mod tests`: tests have no hook in production code";
            faults.push((Rule::Hook, found(source, line_of(at), what)));
            continue;
        };
        if !after.trim().is_empty() {
            let what = "code below the tests is not looked at: put the tests last";
            faults.push((Rule::Hook, found(source, line_of(at), what)));
        }
        return (code[..at].to_owned(), line_of(at) - 1);
    }
    let lines = code.lines().count();
    (code, lines)
}

/// A path's words from `at` on, and each branch of it where it is a group: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn branches(code: &str) -> Vec<Vec<String>> {
    let code = code.trim_start();
    if let Some(group) = code.strip_prefix('{') {
        let mut depth = 0_usize;
        let mut from = 0;
        let mut all = Vec::new();
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    if !group[from..at].trim().is_empty() {
                        all.extend(branches(&group[from..at]));
                    }
                    from = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
        return all;
    }
    if code.starts_with('*') {
        return vec![vec!["*".to_owned()]];
    }
    let word: String = code.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(rest) = code[word.len()..].trim_start().strip_prefix("::").filter(|_| !word.is_empty()) else {
        return vec![vec![word]];
    };
    branches(rest).into_iter().map(|branch| [vec![word.clone()], branch].concat()).collect()
}

/// Every place where a path begins with `word`, and the line it is on.
fn paths<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (usize, Vec<String>)> + 'a {
    code.match_indices(word).flat_map(move |(at, _)| {
        let before = &code[..at];
        // `::name` begins a path where nothing stands before the colons.
        let outer = before.strip_suffix("::").unwrap_or(before);
        let begins = !outer.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '>'));
        let line = code[..at].matches('\n').count() + 1;
        let branches = match code[at + word.len()..].trim_start().strip_prefix("::") {
            Some(rest) if begins => branches(rest),
            _ => Vec::new(),
        };
        branches.into_iter().map(move |branch| (line, branch))
    })
}

/// Edges from this file to rooms, by `crate::`, by `natwatch::`, and by as many `super::` as lead to the crate's root.
fn edges(source: &Source, code: &str) -> Vec<(usize, Vec<String>)> {
    let mut edges: Vec<_> = paths(code, "crate").chain(paths(code, "natwatch")).collect();
    for (line, path) in paths(code, "super") {
        let ups = 1 + path.iter().take_while(|word| *word == "super").count();
        if ups >= source.depth() {
            edges.push((line, path[ups - 1..].to_vec()));
        }
    }
    edges
}

fn edge_faults(source: &Source, code: &str, faults: &mut Vec<String>) {
    let room = source.room();
    let Some(allowed) = allowed(room) else {
        faults.push(found(source, 1, &format!("`{room}` is in no table of rooms")));
        return;
    };
    for (line, path) in edges(source, code) {
        let to = path.first().map_or("", String::as_str);
        let item = path.get(1).map_or("", String::as_str);
        if to == room || (room == "main" && path.len() == 1 && !ROOMS.contains(&to)) {
            continue;
        }
        match allowed.iter().find(|(name, _)| *name == to) {
            Some((_, All)) => {}
            Some((_, Only(items))) if items.contains(&item) => {}
            Some((_, Only(items))) => {
                faults.push(found(source, line, &format!("{room} may use of {to} only {items:?}, not {item:?}")));
            }
            None => faults.push(found(source, line, &format!("{room} may not use {to:?}"))),
        }
    }
}

fn crate_faults(source: &Source, code: &str, faults: &mut Vec<String>) {
    for (name, owners) in OWNED {
        let owns = owners
            .iter()
            .any(|owner| if owner.ends_with('/') { source.path.starts_with(owner) } else { source.path == *owner });
        if owns {
            continue;
        }
        // Our own `crate::x::toml` is none: only a path that begins with the name, or a `use` of it alone.
        let mut lines: Vec<usize> = paths(code, name).map(|(line, _)| line).collect();
        for (at, line) in code.lines().enumerate() {
            let used = line.trim().trim_start_matches("pub ").strip_prefix("use ").unwrap_or_default();
            if used.trim_end_matches(';') == name || used.starts_with(&format!("{name} as ")) {
                lines.push(at + 1);
            }
        }
        lines.dedup();
        faults.extend(
            lines.into_iter().map(|line| found(source, line, &format!("{name} belongs to {}", owners.join(", ")))),
        );
    }
}

fn word_faults(source: &Source, code: &str, faults: &mut Vec<String>) {
    for (at, line) in code.lines().enumerate() {
        let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '!'));
        for word in &mut words {
            let prints = matches!(word, "print!" | "println!" | "eprint!" | "eprintln!" | "dbg!");
            if word == "unsafe" || (prints && source.room() != "report") {
                faults.push(found(source, at + 1, &format!("`{word}` has no place here")));
            }
        }
    }
}

/// `{x:?}` in any text, and `?x` as a field, where no code has a question mark.
fn debug_faults(source: &Source, code: &str, shape: &mut Vec<(Rule, String)>) {
    for (at, (line, code)) in source.text.lines().zip(code.lines()).enumerate() {
        let field = ["(?", ", ?", "= ?"].iter().any(|sigil| code.contains(sigil)) || code.trim_start().starts_with('?');
        let comment = line.trim_start().starts_with("//");
        let chained = code.trim_start().starts_with("?;") || code.trim_start().starts_with("?.");
        if (field && !chained) || (!comment && (line.contains(":?}") || line.contains(":#?}"))) {
            shape.push((Rule::Debug, found(source, at + 1, "Debug output has no place in what people read")));
        }
    }
}

fn faults(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        if source.path.ends_with("mod.rs") {
            faults.push(found(source, 1, "put `foo.rs` beside `foo/`"));
        }
        if source.is_test() {
            let parent = source.path.find("/tests").map(|at| format!("{}.rs", &source.path[..at]));
            let declared = sources
                .iter()
                .any(|one| Some(&one.path) == parent.as_ref() && DECLARED.iter().any(|line| one.text.contains(line)));
            if !declared {
                faults.push(found(source, 1, "is called a test, but no `#[cfg(test)]\\nmod tests;` above it says so"));
            }
            continue;
        }
        let mut shape = Vec::new();
        let (code, lines) = production(source, &mut shape);
        debug_faults(source, &code, &mut shape);
        if lines > LINES {
            let what = format!("{lines} lines of production code, at most {LINES}");
            shape.push((Rule::Length, found(source, LINES + 1, &what)));
        }
        for (path, rule, reason) in EXCUSED.iter().filter(|(path, ..)| *path == source.path) {
            if shape.iter().all(|(broken, _)| broken != rule) {
                faults.push(found(source, 1, &format!("{path} needs its excuse no longer: {rule:?}, {reason}")));
            }
        }
        faults.extend(shape.into_iter().filter(|(rule, _)| !excused(source, *rule)).map(|(_, fault)| fault));
        edge_faults(source, &code, &mut faults);
        crate_faults(source, &code, &mut faults);
        word_faults(source, &code, &mut faults);
    }
    faults
}

fn read(folder: &Path, sources: &mut Vec<Source>, root: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, sources, root);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            assert!(path.extension().is_some_and(|ending| ending == "rs"), "src/{name}: only Rust lives here");
            sources.push(Source { path: name, text: std::fs::read_to_string(&path).unwrap() });
        }
    }
}

#[test]
fn rooms_know_only_whom_the_table_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    read(&root, &mut sources, &root);
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(sources.len() > 10, "src/ was not read");
    let faults = faults(&sources);
    let mut text = String::new();
    for fault in &faults {
        let _ = writeln!(text, "{fault}");
    }
    assert!(faults.is_empty(), "\n{text}");
}

#[test]
fn every_dependency_has_an_owner_or_is_shared() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let (_, section) = manifest.split_once("\n[dependencies]\n").expect("a section of dependencies");
    let section = section.split("\n[").next().unwrap();
    let names = section.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let name = line.split(['=', '.']).next()?.trim();
        (!name.is_empty()).then(|| name.replace('-', "_"))
    });
    for name in names {
        let known = SHARED.contains(&name.as_str()) || OWNED.iter().any(|(owned, _)| *owned == name);
        assert!(known, "Cargo.toml: {name} is in neither table of crates");
    }
}

fn faults_of(path: &str, text: &str) -> Vec<String> {
    faults(&[Source { path: path.to_owned(), text: text.to_owned() }])
}

#[test]
fn a_forbidden_edge_is_found_however_it_is_written() {
    for (path, text, expected) in [
        ("observe/x.rs", "\nuse crate::decide::judge;\n", r#"src/observe/x.rs:2: observe may not use "decide""#),
        ("observe.rs", "use crate::{model::Round, act};", r#"src/observe.rs:1: observe may not use "act""#),
        ("observe.rs", "fn f() {\n crate::act::go() }", r#"src/observe.rs:2: observe may not use "act""#),
        ("decide.rs", "use super::record::X;", r#"src/decide.rs:1: decide may not use "record""#),
        ("decide/a.rs", "use super::super::record::X;", r#"src/decide/a.rs:1: decide may not use "record""#),
        ("decide/a.rs", "use super::{super::record::X, judge};", r#"src/decide/a.rs:1: decide may not use "record""#),
        ("model/id.rs", "use crate::cli;", r#"src/model/id.rs:1: model may not use "cli""#),
        ("act.rs", "use crate::*;", r#"src/act.rs:1: act may not use "*""#),
        (
            "config.rs",
            "use crate::decide::judge;",
            r#"src/config.rs:1: config may use of decide only ["DecideSettings"], not "judge""#,
        ),
        ("gossip.rs", "", "src/gossip.rs:1: `gossip` is in no table of rooms"),
        ("record.rs", "use clap::Parser;", "src/record.rs:1: clap belongs to cli.rs, cli/examples.rs, cli/describe.rs"),
        ("run.rs", "use toml;", "src/run.rs:1: toml belongs to config.rs, config/, replay/"),
        ("run.rs", "fn f() { ::openssh::x() }", "src/run.rs:1: openssh belongs to observe/ssh.rs"),
        ("act.rs", "fn f() {\n\n println!(\"\") }", "src/act.rs:3: `println!` has no place here"),
        ("report/a.rs", "unsafe fn f() {}", "src/report/a.rs:1: `unsafe` has no place here"),
        ("act/mod.rs", "", "src/act/mod.rs:1: put `foo.rs` beside `foo/`"),
        (
            "act.rs",
            "#[cfg(test)]\nmod tests {\n}\nfn f() {}\n",
            "src/act.rs:1: code below the tests is not looked at: put the tests last",
        ),
        (
            "act.rs",
            "\n#[cfg(test)]\nfn hook() {}\n",
            "src/act.rs:2: #[cfg(test)] on anything but `mod tests`: tests have no hook in production code",
        ),
        (
            "act.rs",
            "\n#[cfg(test)]\npub mod tests {\n}\n",
            "src/act.rs:2: #[cfg(test)] on anything but `mod tests`: tests have no hook in production code",
        ),
        (
            "act/tests.rs",
            "",
            "src/act/tests.rs:1: is called a test, but no `#[cfg(test)]\\nmod tests;` above it says so",
        ),
    ] {
        assert_eq!(faults_of(path, text), [expected], "{path}: {text}");
    }
}

#[test]
fn what_is_allowed_commented_or_quoted_is_no_fault() {
    let none: [String; 0] = [];
    for (path, text) in [
        ("observe.rs", "use crate::model::{Round, Target};\nuse crate::observe::x;\n"),
        ("decide/a.rs", "use super::judge; // crate::act\n/* crate::act /* unsafe */ println! */\n"),
        (
            "decide/a.rs",
            "const A: &str = \"crate::act \\\" println!\";\nconst B: &str = r#\"use clap::X; \" unsafe\"#;\n",
        ),
        ("decide/a.rs", "fn f<'a>(c: char) -> bool { c == '\"' || c == '\\'' } // \"\n"),
        ("config/a.rs", "use crate::observe::{HostKeys, SshSettings};\nuse toml::Table;\n"),
        ("ec2/a.rs", "use crate::act::{ChangeError, Changer};\nuse aws_sdk_ec2::Client;\n"),
        ("run/a.rs", "use crate::decide::{self, judge};\nuse crate::record::State;\n"),
        ("report/text.rs", "fn f() { println!(\"x\") }\n"),
        ("main.rs", "fn main() { natwatch::main() }\n"),
        ("act.rs", "fn f() {}\n\n#[cfg(test)]\npub(super) mod tests {\n    use crate::decide::x;\n}\n"),
        ("act.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use crate::decide::x;\n    fn f() { println!() }\n}\n"),
    ] {
        assert_eq!(faults_of(path, text), none, "{path}: {text}");
    }
}

#[test]
fn what_debug_makes_is_found_in_a_text_and_as_a_field() {
    for text in [
        "fn f() {\n    format!(\"{x:?}\");\n}\n",
        "fn f() {\n    format!(\"{:#?}\", x);\n}\n",
        "fn f() {\n    tracing::warn!(why = ?x, \"said\");\n}\n",
        "fn f() {\n    tracing::warn!(?x, \"said\");\n}\n",
        "fn f() {\n    tracing::warn!(host, ?x, \"said\");\n}\n",
    ] {
        let found = faults_of("observe/x.rs", text);
        assert!(found.len() == 1 && found[0].contains("Debug output"), "{text}: {found:?}");
    }
    let fine = "/// `{x:?}`\nfn f() -> Option<u8> {\n    g(x?, y?)?;\n    tracing::warn!(%x, \"(?)\");\n    h()\n        ?.i()\n}\n\n#[cfg(test)]\nmod tests {\n    const A: &str = \"{x:?}\";\n}\n";
    assert_eq!(faults_of("observe/x.rs", fine), [""; 0]);
}

#[test]
fn a_file_of_more_lines_than_allowed_is_found() {
    assert_eq!(faults_of("act.rs", &"\n".repeat(LINES)).len(), 0);
    assert_eq!(
        faults_of("act.rs", &"\n".repeat(LINES + 1)),
        ["src/act.rs:301: 301 lines of production code, at most 300"]
    );
    let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(200), "\n".repeat(200));
    assert_eq!(faults_of("act.rs", &tests).len(), 0);
}
