//! A gate for what natwatch is built from: each crate's licence is one of `deny.toml`'s, and all come from crates.io. Offline, in a second:
//! by `cargo metadata`, and not by cargo-deny, which would take longer to compile than natwatch's own tests.
//!
//! It goes by what a crate declares (`license` of its manifest), as cargo-deny does where it is not told to read texts. The texts themselves,
//! which their licences want beside the program, are gathered here for the packages.

#![expect(clippy::unwrap_used, reason = "what can't be read here fails the test, and says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// A list of `deny.toml`.
fn listed(section: &str, key: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let list = table[section][key].as_array().unwrap_or_else(|| panic!("{section}.{key} is no list"));
    list.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Words of an SPDX licence expression (its specification's annex "SPDX license expressions"): `AND` binds closer than `OR`, and `WITH` makes
/// one licence of two words. A slash is what manifests once had for `OR`. `Err`: not such an expression.
struct Expression<'a> {
    words: std::iter::Peekable<std::vec::IntoIter<&'a str>>,
    allowed: &'a BTreeSet<String>,
}

impl Expression<'_> {
    /// Whether it can be satisfied by licences that are allowed.
    fn is_allowed(text: &str, allowed: &BTreeSet<String>) -> Result<bool, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut parsed = Expression { words: words.into_iter().peekable(), allowed };
        let found = parsed.any()?;
        parsed.words.next().map_or(Ok(found), |rest| Err(format!("{rest:?} is too much in {text:?}")))
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut found = self.all()?;
        while self.words.next_if_eq(&"OR").is_some() {
            found |= self.all()?;
        }
        Ok(found)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut found = self.one()?;
        while self.words.next_if_eq(&"AND").is_some() {
            found &= self.one()?;
        }
        Ok(found)
    }

    fn one(&mut self) -> Result<bool, String> {
        match self.words.next() {
            Some("(") => {
                let found = self.any()?;
                self.words.next_if_eq(&")").map(|_| found).ok_or_else(|| "a bracket is open".to_owned())
            }
            None | Some(")" | "AND" | "OR" | "WITH") => Err("a licence is missing".to_owned()),
            Some(name) => {
                let mut licence = name.to_owned();
                if self.words.next_if_eq(&"WITH").is_some() {
                    let exception = self.words.next().ok_or("an exception is missing")?;
                    licence = format!("{name} WITH {exception}");
                }
                Ok(self.allowed.contains(&licence))
            }
        }
    }
}

#[test]
fn a_licence_expression_is_read_as_its_specification_says() {
    let allowed = ["MIT", "ISC", "GPL-2.0-only WITH Classpath-exception-2.0"].map(str::to_owned).into();
    for (text, expected) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only", true),
        ("GPL-3.0-only OR MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("MIT AND ISC", true),
        // AND binds closer.
        ("GPL-3.0-only AND ISC OR MIT", true),
        ("MIT OR ISC AND GPL-3.0-only", true),
        ("(MIT OR GPL-3.0-only) AND GPL-3.0-only", false),
        ("(GPL-3.0-only OR MIT) AND ISC", true),
        ("GPL-2.0-only WITH Classpath-exception-2.0", true),
        ("GPL-2.0-only", false),
        ("MIT WITH Classpath-exception-2.0", false),
        ("GPL-3.0-only/MIT", true),
        ("GPL-3.0-only / BSD-4-Clause", false),
    ] {
        assert_eq!(Expression::is_allowed(text, &allowed), Ok(expected), "{text}");
    }
    for text in ["", "MIT OR", "AND MIT", "(MIT", "MIT)", "MIT ISC", "MIT WITH"] {
        assert!(Expression::is_allowed(text, &allowed).is_err(), "{text}");
    }
}

/// What cargo knows of the crates, for this platform: what is for others only is not there without the network, and is not in the packages.
fn metadata() -> serde_json::Value {
    let version = cargo(&["version", "--verbose"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let text = cargo(&["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host]);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let allowed = listed("licenses", "allow");
    let metadata = metadata();
    let used: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap()).collect();
    let mut seen = 0;
    let mut refused = Vec::new();
    for one in metadata["packages"].as_array().unwrap() {
        if !used.contains(one["id"].as_str().unwrap()) {
            continue;
        }
        seen += 1;
        let of = format!("{} {}", one["name"].as_str().unwrap(), one["version"].as_str().unwrap());
        match one["license"].as_str().map(|text| (text, Expression::is_allowed(text, &allowed))) {
            Some((_, Ok(true))) => {}
            Some((text, Ok(false))) => refused.push(format!("{of}: {text}")),
            Some((_, Err(why))) => refused.push(format!("{of}: {why}")),
            None => refused.push(format!("{of}: no licence is declared")),
        }
    }
    assert!(seen > 100, "only {seen} crates were looked at");
    assert!(refused.is_empty(), "licences that deny.toml does not have: {refused:#?}");
}

#[test]
fn every_crate_comes_from_a_registry_that_is_allowed_and_has_its_checksum() {
    let allowed = listed("sources", "allow-registry");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let lock: toml::Table = text.parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let own = ["natwatch", "natwatch-lab"];
    assert!(packages.len() > 100);
    for one in packages {
        let name = one["name"].as_str().unwrap();
        let Some(source) = one.get("source").and_then(toml::Value::as_str) else {
            assert!(own.contains(&name), "{name} comes from a path");
            continue;
        };
        let registry = source.strip_prefix("registry+").unwrap_or_else(|| panic!("{name} comes from {source}"));
        assert!(allowed.contains(registry), "{name} comes from {registry}");
        assert!(one.get("checksum").is_some_and(|sum| sum.as_str().unwrap().len() == 64), "{name} has no checksum");
    }
}

/// The crates that are linked into natwatch, each as `name version`. What only runs while it is compiled (build scripts, procedural macros) is
/// not in it.
fn linked() -> BTreeSet<String> {
    let tree = cargo(&[
        "tree",
        "--locked",
        "--offline",
        "--package=natwatch",
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--no-dedupe",
    ]);
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        (name != "natwatch").then(|| format!("{name} {version}"))
    });
    crates.collect()
}

/// Whether a file of a crate has terms or notices in it, by what such files are called.
fn has_terms(file: &str) -> bool {
    let name = file.to_ascii_uppercase();
    let terms =
        ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"].iter().any(|one| name.starts_with(one));
    terms && [".RS", ".SPDX", ".HTML"].iter().all(|code| !name.ends_with(code))
}

/// The texts of the linked crates, each once, under the crates that bring it.
fn texts() -> String {
    let linked = linked();
    assert!(linked.len() > 100, "only {} crates are linked", linked.len());
    let mut declared = BTreeMap::new();
    let mut brought: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in metadata()["packages"].as_array().unwrap() {
        let of = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let name = format!("{} {}", of("name"), of("version"));
        if !linked.contains(&name) {
            continue;
        }
        let authors: Vec<&str> = one["authors"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        let folder = of("manifest_path");
        let files = Path::new(&folder).parent().unwrap().read_dir().unwrap().map(|file| file.unwrap());
        let mut own = 0;
        for file in files.filter(|file| has_terms(file.file_name().to_str().unwrap()) && file.path().is_file()) {
            let text = std::fs::read_to_string(file.path()).unwrap();
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            brought.entry(lines.join("\n").trim_matches('\n').to_owned()).or_default().insert(name.clone());
            own += 1;
        }
        let by = match (own, authors.join(", ")) {
            (0, authors) if authors.is_empty() => format!("; its source has no text of it; {}", of("repository")),
            (0, authors) => format!("; its source has no text of it; by {authors}; {}", of("repository")),
            _ => String::new(),
        };
        declared.insert(name, format!("{}{by}", of("license")));
    }
    assert_eq!(declared.keys().collect::<Vec<_>>(), linked.iter().collect::<Vec<_>>());
    let mut all = String::from(
        "natwatch is linked from these crates and from Rust's standard library (MIT OR Apache-2.0). What each declares as its licence comes first,\n\
         then every text that their sources bring, under the names of those who bring it. Made by tests/licences.rs.\n\n",
    );
    for (name, licence) in &declared {
        writeln!(all, "{name}: {licence}").unwrap();
    }
    for (text, crates) in &brought {
        let rule = "-".repeat(80);
        let crates: Vec<&str> = crates.iter().map(String::as_str).collect();
        writeln!(all, "\n{rule}\n{}\n{rule}\n\n{text}", crates.join("\n")).unwrap();
    }
    all
}

#[test]
fn the_packages_bring_the_licence_texts_of_all_that_is_linked() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/third-party-licences.txt");
    let made = texts();
    if std::env::var_os("NATWATCH_BLESS").is_some() {
        std::fs::write(&kept, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&kept).unwrap();
    let differ = kept.lines().zip(made.lines()).position(|(kept, made)| kept != made);
    assert!(
        kept == made,
        "packaging/third-party-licences.txt is of other crates (line {differ:?}): NATWATCH_BLESS=1 cargo test --workspace --test licences"
    );
}
