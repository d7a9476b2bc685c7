//! Healthy runs: how long cron's usual job takes, and what of the machine.

use std::collections::BTreeSet;

use anyhow::Context as _;
use natwatch_lab::{Fault, Lab, Options, Run};
use serde_json::Value;

use super::figures::{Memory, Seconds};
use super::meter::{measure, weigh};
use super::{Bench, progress};

/// Black-holed backends of a hundred, so that about one of a panel of eight is.
const DEAD_OF_100: usize = 13;

/// Runs that are tried per run that is wanted, where the draw decides whether it counts: two of three do.
const TRIES: usize = 8;

/// A line of the table.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) time: Seconds,
    pub(super) processor: Seconds,
    pub(super) tree: Memory,
    pub(super) own: Memory,
}

pub(super) fn all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let sizes: &[usize] = if bench.quick { &[6, 20] } else { &[6, 20, 100] };
    for size in sizes {
        let lab = raise(bench, *size)?;
        for panel in [8, 0] {
            let asked = if panel == 0 { "0 (all)".to_owned() } else { panel.to_string() };
            rows.push(row(bench, &lab, &format!("{size} backends, panel {asked}"), panel, &BTreeSet::new())?);
        }
        if *size == 100 {
            let dead = kill(&lab, (0..DEAD_OF_100).map(|n| n * 7))?;
            let what = format!("100 backends, {DEAD_OF_100} of them black-holed, panel 8; runs that drew at least one");
            rows.push(row(bench, &lab, &what, 8, &dead)?);
        }
    }
    let lab = raise(bench, 8)?;
    let dead = kill(&lab, [0])?;
    rows.push(row(bench, &lab, "8 backends, 1 of them black-holed, panel 8", 8, &dead)?);
    Ok(rows)
}

/// A lab in which every backend is a witness.
pub(super) fn raise(bench: &Bench, backends: usize) -> anyhow::Result<Lab> {
    progress(&format!("raising a lab with {backends} backends"));
    let options = Options { backends, natwatch: bench.natwatch()?, reply: None, traffic: false, ..Options::default() };
    let lab = Lab::up(&options)?;
    lab.configure(&[("backends.panel", "0")])?;
    // A round ends when its verdict is clear, so not everybody is heard in the first.
    for _ in 0..3 {
        checked(&measure(&lab.command(&["run"]))?.run)?;
    }
    Ok(lab)
}

pub(super) fn kill(lab: &Lab, which: impl IntoIterator<Item = usize>) -> anyhow::Result<BTreeSet<String>> {
    let dead: BTreeSet<usize> = which.into_iter().collect();
    for n in &dead {
        lab.inject(&Fault::BackendDead(*n))?;
    }
    Ok(dead.into_iter().map(|n| format!("b{n}")).collect())
}

/// Runs that meet none of the dead, where there are any, do not count.
fn row(bench: &Bench, lab: &Lab, what: &str, panel: usize, dead: &BTreeSet<String>) -> anyhow::Result<Row> {
    progress(what);
    lab.configure(&[("backends.panel", &panel.to_string())])?;
    let mut row = Row {
        what: what.to_owned(),
        time: Seconds::default(),
        processor: Seconds::default(),
        tree: Memory::default(),
        own: Memory::default(),
    };
    // Whom a run asked is told in JSON only.
    let args: &[&str] = if dead.is_empty() { &["run"] } else { &["run", "--format", "json"] };
    let meets =
        |run: &Run| Ok::<_, anyhow::Error>(dead.is_empty() || asked(run)?.iter().any(|host| dead.contains(host)));
    lab.api().forget_calls();
    for _ in 0..bench.runs() * TRIES {
        let measured = measure(&lab.command(args))?;
        checked(&measured.run)?;
        if meets(&measured.run)? {
            row.time.add(measured.run.elapsed);
            measured.processor.into_iter().for_each(|spent| row.processor.add(spent));
        }
        if row.time.count() == bench.runs() {
            break;
        }
    }
    let calls = lab.api().calls().len();
    anyhow::ensure!(row.time.count() == bench.runs(), "{what}: too few runs asked one of the dead");
    anyhow::ensure!(calls == 0, "{what}: {calls} EC2 calls in healthy runs, where none is needed");
    for _ in 0..bench.runs() {
        let (run, peak) = weigh(lab, &lab.command(&["run"]))?;
        checked(&run)?;
        row.tree.add(peak.tree);
        row.own.add(peak.own);
    }
    Ok(row)
}

pub(super) fn checked(run: &Run) -> anyhow::Result<()> {
    anyhow::ensure!(run.status == Some(0), "a run that should be healthy is not: {run}");
    Ok(())
}

/// The backends that a run asked, by its own account: its panel first, then those who were asked in place of silent ones.
pub(super) fn asked(run: &Run) -> anyhow::Result<Vec<String>> {
    let document: Value = serde_json::from_str(&run.stdout).with_context(|| format!("read a run's JSON: {run}"))?;
    let rounds = document.get("rounds").and_then(Value::as_array).context("a run without rounds")?;
    let backends = rounds.iter().filter_map(|round| round.get("backends")?.as_array()).flatten();
    Ok(backends.filter_map(|one| Some(one.get("host")?.as_str()?.to_owned())).collect())
}
