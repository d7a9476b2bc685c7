//! `docs/dependencies.md` has a row for every crate that a `Cargo.toml` of ours names, as cargo has resolved it, and an exit for what is old.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::civil::Date;
use serde_json::Value;

use super::{path, quoted, read, rows, section};

const PAGE: &str = "docs/dependencies.md";

/// Who is a year behind the newest release of all may be done, or nobody's any more: that is to be said.
const OLD_DAYS: i32 = 365;

/// Where a package may name what it depends on.
const PLACES: [(&str, &[&str]); 2] = [("natwatch", &["src", "tests"]), ("natwatch-lab", &["lab/src", "lab/tests"])];

/// As the table has it, but for the words that no machine knows.
#[derive(Debug, PartialEq, Eq)]
struct Crate {
    version: String,
    licence: String,
    of: &'static str,
}

/// What cargo has resolved for this machine, from the lock file and without a network.
fn metadata() -> Value {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let args = ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", &host];
    let output = Command::new(env!("CARGO")).args(args).current_dir(path("")).output().unwrap();
    assert!(output.status.success(), "cargo {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().unwrap()
}

/// Each crate of another's that a package here names: by its name, and who names it (package, kind).
fn direct(metadata: &Value) -> (BTreeMap<String, Crate>, BTreeSet<(String, String)>) {
    let of_id = |key: &str, of: &Value| -> Value {
        let all = if key == "packages" { list(metadata, key) } else { list(&metadata["resolve"], key) };
        all.iter().find(|one| one["id"] == *of).unwrap().clone()
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut users: BTreeMap<String, (Value, BTreeSet<(String, bool)>)> = BTreeMap::new();
    let mut named = BTreeSet::new();
    for member in list(metadata, "workspace_members") {
        let package = text(&of_id("packages", member)["name"]);
        for edge in list(&of_id("nodes", member), "deps") {
            let one = of_id("packages", &edge["pkg"]);
            if one["source"].is_null() {
                continue;
            }
            for kind in list(edge, "dep_kinds") {
                let user = (package.clone(), kind["kind"] == "dev");
                users.entry(text(&one["name"])).or_insert_with(|| (one.clone(), BTreeSet::new())).1.insert(user);
            }
            named.insert((package.clone(), text(&one["name"])));
        }
    }
    let crates = users.into_iter().map(|(name, (one, users))| {
        let by = |package: &str, dev: bool| users.contains(&(package.to_owned(), dev));
        let of = match (by("natwatch", false), by("natwatch-lab", false)) {
            (true, true) => "both",
            (true, false) => "natwatch",
            (false, true) => "lab",
            (false, false) => "tests",
        };
        (name, Crate { version: text(&one["version"]), licence: text(&one["license"]), of })
    });
    (crates.collect(), named)
}

/// The rows of the table, by the crate's name.
fn told() -> BTreeMap<String, Vec<String>> {
    let text = read(PAGE);
    let (table, _) = text.split_once("\n## ").unwrap();
    let rows = rows(table);
    let count = rows.len();
    let told: BTreeMap<String, Vec<String>> = rows
        .into_iter()
        .map(|row| {
            assert!(row.len() == 8 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
            (row[0].trim_matches('`').to_owned(), row)
        })
        .collect();
    assert_eq!(told.len(), count, "a crate has two rows");
    told
}

/// Whether a Rust file at `place` or below it names the crate, in code.
fn names(place: &Path, ident: &str) -> bool {
    if place.is_dir() {
        return fs::read_dir(place).unwrap().any(|entry| names(&entry.unwrap().path(), ident));
    }
    if place.extension().is_none_or(|extension| extension != "rs") {
        return false;
    }
    let text = fs::read_to_string(place).unwrap();
    let mut code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let whole = |found: usize, line: &str| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let after = &line[found + ident.len()..];
        !line[..found].ends_with(word) && (after.starts_with("::") || after.starts_with(';'))
    };
    code.any(|line| line.match_indices(ident).any(|(found, _)| whole(found, line)))
}

#[test]
fn every_dependency_has_its_row_as_cargo_has_resolved_it() {
    let (there, _) = direct(&metadata());
    let told = told();
    let names: BTreeSet<&String> = told.keys().collect();
    assert_eq!(names, there.keys().collect(), "{PAGE} and the Cargo.toml files");
    for (name, one) in &there {
        let row = &told[name];
        assert_eq!((&row[1], &row[2], row[3].as_str()), (&one.version, &one.licence, one.of), "{name}");
    }
}

#[test]
fn every_dependency_is_named_where_its_row_says_and_in_every_package_that_asks_for_it() {
    for (name, row) in told() {
        let ident = name.replace('-', "_");
        let places = quoted(&row[4]);
        assert!(!places.is_empty(), "{name}: where?");
        for place in places {
            assert!(path(&place).exists(), "{name}: there is no {place}");
            assert!(self::names(&path(&place), &ident), "{name}: {place} does not name it");
        }
    }
    let (_, named) = direct(&metadata());
    for (package, name) in named {
        let (_, places) = PLACES.iter().find(|(of, _)| *of == package).unwrap();
        let ident = name.replace('-', "_");
        assert!(
            places.iter().any(|place| names(&path(place), &ident)),
            "{package} asks for {name}, and nothing in it names that"
        );
    }
}

#[test]
fn what_is_old_has_an_argument_and_an_exit() {
    let text = read(PAGE);
    let kept = section(&text, "## Kept with an argument, and an exit");
    let argued: BTreeSet<String> = kept
        .split("\n### ")
        .skip(1)
        .map(|entry| {
            let name = quoted(entry.lines().next().unwrap()).into_iter().next().unwrap();
            for part in ["- **State**: ", "- **Why**: ", "- **Exit**: "] {
                assert!(entry.contains(&format!("\n{part}")), "{name}: {part:?}");
            }
            name
        })
        .collect();
    let told = told();
    let days: BTreeMap<&String, (Date, Date)> =
        told.iter().map(|(name, row)| (name, (row[5].parse().unwrap(), row[6].parse().unwrap()))).collect();
    let newest = days.values().map(|(_, this)| *this).max().unwrap();
    for (name, (first, this)) in days {
        assert!(first <= this, "{name}: {first} is after {this}");
        let old = (newest - this).get_days() > OLD_DAYS;
        assert!(
            !old || argued.contains(name),
            "{name} is of {this}, and nothing says why it is kept and what replaces it"
        );
        assert!(
            !told[name][7].contains("See below") || argued.contains(name),
            "{name}: see below, and there is nothing"
        );
    }
    let strays: Vec<&String> = argued.iter().filter(|name| !told.contains_key(*name)).collect();
    assert!(strays.is_empty(), "argued for, and not here: {strays:?}");
}
