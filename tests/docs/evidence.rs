//! `docs/evidence.md` is what was measured, computed and counted elsewhere, to the last character. `NATWATCH_BLESS=1 cargo test --workspace
//! --test docs` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::sync::PoisonError;

use super::{CATALOGUE, REMARK, catalogue, path, proofs, read, scenarios};

const PAGE: &str = "docs/evidence.md";

/// Where the bench writes. A block of two pages is the same in both, or the bench has been interrupted.
const MEASURED: [&str; 2] = ["docs/bench.md", "README.md"];

/// Of which there is a fuller one.
const BRIEF: &str = "bench:outages";

/// Before, within and after the marks of `name`; each mark stands once.
fn parts<'t>(file: &str, text: &'t str, name: &str) -> Option<(&'t str, &'t str, &'t str)> {
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let (before, rest) = text.split_once(&begin)?;
    let (inside, _) = rest.split_once(&end)?;
    let after = &rest[inside.len()..];
    assert!(
        !after.contains(&begin) && after.matches(&end).count() == 1,
        "{file}: the marks of {name} are not there once"
    );
    Some((before, inside, after))
}

/// The names of the bench's blocks in a text.
fn blocks(text: &str) -> BTreeSet<String> {
    let names = text.split("<!-- bench:").skip(1).filter_map(|rest| rest.split_once(":begin -->"));
    names.filter(|(name, _)| !name.contains(' ')).map(|(name, _)| format!("bench:{name}")).collect()
}

/// When and with what a block was measured, by its own words.
fn measured(name: &str, block: &str) -> String {
    let head = block.lines().find(|line| line.starts_with("Measured "));
    let head = head.unwrap_or_else(|| panic!("{name} does not say when it was measured"));
    let date = head.split(' ').nth(1).unwrap();
    let (_, rest) = head.split_once("): ").unwrap();
    let (binary, rest) = rest.split_once("; ").unwrap();
    let machine = rest.split(" before").next().unwrap();
    let provisional = if block.contains("**Provisional**") { "; **provisional**" } else { "" };
    let name = name.trim_start_matches("bench:");
    format!("| `{name}` | {date} | {binary}{provisional} | {machine} |\n")
}

/// The state of `docs/faults.md`, by the tests that are there.
fn faults() -> String {
    let _alone = CATALOGUE.lock().unwrap_or_else(PoisonError::into_inner);
    let (proofs, scenarios) = (proofs(), scenarios());
    let mut table = String::from("| | rows | with a test or scenario | tests | scenarios |\n|---|---|---|---|---|\n");
    let mut bare = Vec::new();
    let (mut all, mut of_all, mut every, mut played) = (0, 0, BTreeSet::new(), 0);
    for (title, rows) in catalogue(&read("docs/faults.md")) {
        let proven: Vec<bool> =
            rows.iter().map(|row| proofs.contains_key(&row.number) || scenarios.contains_key(&row.number)).collect();
        let tests: BTreeSet<&String> = rows.iter().filter_map(|row| proofs.get(&row.number)).flatten().collect();
        let files: usize = rows.iter().filter_map(|row| scenarios.get(&row.number)).sum();
        let with = proven.iter().filter(|one| **one).count();
        writeln!(table, "| {title} | {} | {with} | {} | {files} |", rows.len(), tests.len()).unwrap();
        all += rows.len();
        of_all += with;
        played += files;
        every.extend(tests.into_iter().cloned());
        bare.extend(rows.into_iter().zip(proven).filter(|(_, proven)| !proven).map(|(row, _)| row));
    }
    writeln!(table, "| all | {all} | {of_all} | {} | {played} |", every.len()).unwrap();
    match bare.len() {
        0 => table.push_str("\nNo row is without a test.\n"),
        _ => table.push_str("\nWithout a test:\n\n"),
    }
    for row in bare {
        writeln!(table, "- {}, {}: {}", row.number, row.what, row.remark).unwrap();
    }
    table
}

#[test]
fn the_evidence_is_what_was_measured_computed_and_counted() {
    let page = read(PAGE);
    let sources = MEASURED.map(|file| (file, read(file)));
    let there: BTreeSet<String> =
        sources.iter().flat_map(|(_, text)| blocks(text)).filter(|name| name != BRIEF).collect();
    assert_eq!(blocks(&page), there, "{PAGE}: blocks of the bench");
    let mut wanted: Vec<(String, String)> = Vec::new();
    let mut heads = String::from("| part | measured | with | on |\n|---|---|---|---|\n");
    for name in there {
        let found: Vec<&str> =
            sources.iter().filter_map(|(file, text)| parts(file, text, &name)).map(|(_, inside, _)| inside).collect();
        assert!(found.iter().all(|one| one == &found[0]), "{name} is not the same in {MEASURED:?}");
        heads.push_str(&measured(&name, found[0]));
        wanted.push((name, found[0].to_owned()));
    }
    wanted.push(("evidence:measured".to_owned(), heads));
    let design = read("docs/design.md");
    wanted.push(("odds".to_owned(), parts("docs/design.md", &design, "odds").unwrap().1.to_owned()));
    wanted.push(("evidence:faults".to_owned(), faults()));

    let mut written = page.clone();
    let mut behind = Vec::new();
    for (name, block) in wanted {
        let (before, inside, after) = parts(PAGE, &written, &name).unwrap_or_else(|| panic!("{PAGE} has no {name}"));
        if inside != block {
            behind.push(name.clone());
        }
        written = format!("{before}<!-- {name}:begin -->\n{block}{after}");
    }
    if std::env::var_os("NATWATCH_BLESS").is_some() {
        fs::write(path(PAGE), written).unwrap();
    } else {
        assert!(
            behind.is_empty(),
            "{PAGE} is behind in {behind:?} (NATWATCH_BLESS=1 cargo test --workspace --test docs writes it)"
        );
    }
}

#[test]
fn a_row_of_the_catalogue_is_read_with_its_remark() {
    let text = format!(
        "\n## A. One\n\n| # | fault | natwatch | proved by |\n|---|---|---|---|\n| 7 | a `b` | c | `f007_x` {REMARK}why |\n"
    );
    let read = catalogue(&text);
    assert_eq!(read.len(), 1);
    let (title, rows) = &read[0];
    assert_eq!((title.as_str(), rows.len()), ("A. One", 1));
    assert_eq!((rows[0].number, rows[0].what.as_str(), rows[0].remark.as_str()), (7, "a `b`", "why"));
}
