//! Rounds by the size of the panel: what a run costs while all is well, and while backends are black holes.

use std::collections::BTreeSet;

use natwatch_lab::{Lab, Run};

use super::figures::{Counts, Memory, Seconds};
use super::healthy::{asked, checked, kill, raise};
use super::meter::{measure, weigh};
use super::{Bench, progress};

/// Enough for the largest panel twice over, so that whoever is silent can be replaced.
const BACKENDS: usize = 64;

/// 3 is the fewest that the default threshold allows, 8 the default, 0 all.
const PANELS: [usize; 5] = [3, 8, 16, 32, 0];

/// Runs for memory, at most: it differs little from run to run, and those that wait for black holes take seconds.
const WEIGHED: usize = 3;

/// Runs that are tried per run that is wanted, where the draw decides whether it counts: with the panel of three, three of ten
/// do, and not one of 40 is one case in a million.
const TRIES: usize = 40;

/// natwatch's exit status where it can say nothing: here, that too few backends were heard.
const UNKNOWN: i32 = 3;

/// What of the backends are black holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holes {
    /// None.
    None,
    /// Exactly one of those who are asked first.
    One,
    /// Every second one of all; who is asked first is left to the draw.
    Half,
}

/// The rounds of one kind.
pub(super) struct Table {
    pub(super) backends: usize,
    pub(super) holes: Holes,
    pub(super) rows: Vec<Row>,
}

/// A line of the table.
#[derive(Default)]
pub(super) struct Row {
    /// As configured; 0: all.
    pub(super) panel: usize,
    /// Who was asked in place of silent ones included.
    pub(super) asked: Counts,
    pub(super) time: Seconds,
    /// Those of the timed runs that ended because too few were heard.
    pub(super) unheard: usize,
    pub(super) processor: Seconds,
    pub(super) processes: Counts,
    pub(super) tree: Memory,
    pub(super) own: Memory,
}

pub(super) fn all(bench: &Bench) -> anyhow::Result<Vec<Table>> {
    let (backends, panels): (_, &[usize]) = if bench.quick { (16, &[3, 8, 0]) } else { (BACKENDS, &PANELS) };
    let lab = raise(bench, backends)?;
    let mut tables = Vec::new();
    for holes in [Holes::None, Holes::One, Holes::Half] {
        let mut rows = Vec::new();
        // The largest panel first: the others need more holes, and these add up.
        for panel in panels.iter().rev() {
            let dead = kill(&lab, (0..count(holes, *panel, backends)).map(|n| spread(n, backends)))?;
            rows.push(row(bench, &lab, holes, *panel, &dead)?);
        }
        rows.reverse();
        tables.push(Table { backends, holes, rows });
    }
    Ok(tables)
}

/// How many of the backends are to be black holes. For one in a panel, as many as make that likely, but an eighth of all at
/// most: with a small panel's share of them, hardly anybody would be left to replace a silent one.
fn count(holes: Holes, panel: usize, backends: usize) -> usize {
    match holes {
        Holes::None => 0,
        Holes::One if panel == 0 => 1,
        Holes::One => (backends / panel).clamp(1, backends / 8),
        Holes::Half => backends / 2,
    }
}

/// The `n`th black hole. Seven has no divisor in common with the numbers of backends and of subnets, so each is another one,
/// and the subnets get equal shares.
fn spread(n: usize, backends: usize) -> usize {
    n * 7 % backends
}

fn row(bench: &Bench, lab: &Lab, holes: Holes, panel: usize, dead: &BTreeSet<String>) -> anyhow::Result<Row> {
    let what = format!("panel {panel}, black holes: {holes:?} ({})", dead.len());
    progress(&what);
    lab.configure(&[("backends.panel", &panel.to_string())])?;
    let mut row = Row { panel, ..Row::default() };
    // Whom a run asked is told in JSON only.
    let run = lab.command(&["run", "--format", "json"]);
    let counts = |run: &Run| counts(holes, panel, dead, run);
    lab.api().forget_calls();
    for _ in 0..bench.runs() {
        let measured = wanted(&what, || measure(&run), |measured| counts(&measured.run))?;
        row.asked.add(asked(&measured.run)?.len() as u64);
        row.time.add(measured.run.elapsed);
        row.unheard += usize::from(measured.run.status == Some(UNKNOWN));
        measured.processor.into_iter().for_each(|spent| row.processor.add(spent));
    }
    for _ in 0..bench.runs().min(WEIGHED) {
        let (_, peak) = wanted(&what, || weigh(lab, &run), |(run, _)| counts(run))?;
        row.processes.add(peak.processes);
        row.tree.add(peak.tree);
        row.own.add(peak.own);
    }
    let calls = lab.api().calls().len();
    anyhow::ensure!(calls == 0, "{what}: {calls} EC2 calls in runs that have nothing to move, where none is needed");
    Ok(row)
}

/// Repeats a run until it counts.
fn wanted<T>(
    what: &str,
    run: impl Fn() -> anyhow::Result<T>,
    counts: impl Fn(&T) -> anyhow::Result<bool>,
) -> anyhow::Result<T> {
    for _ in 0..TRIES {
        let done = run()?;
        if counts(&done)? {
            return Ok(done);
        }
    }
    anyhow::bail!("{what}: {TRIES} draws, and none of the kind that counts")
}

/// Whether a run is of the kind that the row is about; one that ended as it never should is an error.
fn counts(holes: Holes, panel: usize, dead: &BTreeSet<String>, run: &Run) -> anyhow::Result<bool> {
    // With so many holes a small panel may find too few within the round's limit, and has to say so.
    if holes != Holes::Half || run.status != Some(UNKNOWN) {
        checked(run)?;
    }
    let first = if panel == 0 { usize::MAX } else { panel };
    let met = asked(run)?.iter().take(first).filter(|host| dead.contains(*host)).count();
    Ok(holes != Holes::One || met == 1)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn black_holes_are_as_many_as_wanted_and_even_over_two_subnets() {
        for backends in [16, BACKENDS] {
            for wanted in [1, 2, 4, backends / 2] {
                let holes: BTreeSet<usize> = (0..wanted).map(|n| spread(n, backends)).collect();
                assert_eq!(holes.len(), wanted);
                assert!(holes.iter().all(|hole| *hole < backends));
                assert_eq!(holes.iter().filter(|hole| *hole % 2 == 0).count(), wanted.div_ceil(2));
            }
        }
    }

    #[test]
    fn holes_only_grow_from_row_to_row() {
        let order = [Holes::None, Holes::One, Holes::Half]
            .into_iter()
            .flat_map(|holes| PANELS.iter().rev().map(move |panel| count(holes, *panel, BACKENDS)));
        assert_eq!(order.collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1, 2, 4, 8, 8, 32, 32, 32, 32, 32]);
    }

    #[test]
    fn a_run_counts_by_whom_it_asked_first() {
        let run = |status, hosts: &str| {
            let backends: Vec<_> = hosts.split(' ').map(|host| format!(r#"{{"host": "{host}"}}"#)).collect();
            Run {
                status: Some(status),
                signal: None,
                timed_out: false,
                stdout: format!(r#"{{"rounds": [{{"backends": [{}]}}]}}"#, backends.join(",")),
                stderr: String::new(),
                started: Instant::now(),
                elapsed: Duration::ZERO,
            }
        };
        let dead: BTreeSet<String> = ["b1", "b2"].map(str::to_owned).into();
        let counts = |holes, panel, run: &Run| counts(holes, panel, &dead, run);
        assert!(counts(Holes::One, 3, &run(0, "b0 b1 b3")).unwrap());
        assert!(counts(Holes::One, 3, &run(0, "b0 b1 b3 b2")).unwrap(), "the fourth was asked in place of the second");
        assert!(!counts(Holes::One, 3, &run(0, "b0 b4 b3 b2")).unwrap());
        assert!(!counts(Holes::One, 0, &run(0, "b0 b1 b3 b2")).unwrap());
        assert!(counts(Holes::Half, 3, &run(3, "b0 b4 b3")).unwrap());
        assert!(counts(Holes::One, 3, &run(3, "b0 b1 b3")).is_err());
        assert!(counts(Holes::Half, 3, &run(1, "b0 b1 b3")).is_err());
    }
}
