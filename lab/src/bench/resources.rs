//! What `watch` takes of the standby while nothing is wrong, against `run` every two minutes.

use std::thread;
use std::time::{Duration, Instant};

use natwatch_lab::{Lab, Options};

use super::figures::{Memory, mebibytes, table};
use super::meter::{Group, measure, weigh};
use super::outages::seasoned;
use super::samples::Sample;
use super::watcher::{Pace, Watcher};
use super::{Bench, aim, progress};

/// What a takeover needs is read anew every five minutes: twice in it.
const WINDOW: Duration = Duration::from_mins(10);

/// Twice the panel and more, so that its members change.
const BACKENDS: usize = 20;

/// Between two looks at memory.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// As the shipped timer and cron entry have it.
const CRON: Duration = Duration::from_mins(2);

/// A line of the table.
struct Row {
    what: &'static str,
    /// Typical, and highest, in KiB.
    tree: (String, u64),
    own: String,
    /// Of a core, in percent.
    processor: Option<f64>,
    /// Bytes per second, both ways.
    wire: f64,
    calls: String,
}

pub(super) fn all(bench: &Bench, measured: &str) -> anyhow::Result<String> {
    let window = if bench.quick { Duration::from_secs(20) } else { WINDOW };
    let rows = [watch(bench, Pace::Usual, window)?, watch(bench, Pace::Fast, window)?, cron(bench)?];
    let [usual, ..] = &rows;
    aim("memory of watch with a panel of 8, MiB", f64::from(u32::try_from(usual.tree.1)?) / 1024.0, 48.0);
    aim("processor of watch, percent of a core", usual.processor.unwrap_or_default(), 2.0);
    let head = [
        "nothing wrong, 20 backends, panel 8",
        "memory, all processes",
        "highest",
        "natwatch's own",
        "CPU",
        "on the wire, both ways",
        "EC2 calls",
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                row.what.to_owned(),
                row.tree.0.clone(),
                mebibytes(row.tree.1),
                row.own.clone(),
                row.processor.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.2} % of a core")),
                format!("{:.0} B/s", row.wire),
                row.calls.clone(),
            ]
        })
        .collect();
    let minutes = window.as_secs_f64() / 60.0;
    Ok(format!(
        "{measured}\n\n{}\n`watch` was observed for {minutes:.0} minutes, its memory each second (PSS; natwatch's own is resident memory), and its EC2 calls, counted in that time, are extrapolated to an hour. \
         Bytes are those of the standby's link, Ethernet headers included, TLS to EC2 too. What `run` takes of the processor and the wire is that of one run in two minutes; its memory is there for a fifth of a second.",
        table(&head, &rows)
    ))
}

fn raise(bench: &Bench) -> anyhow::Result<Lab> {
    Lab::up(&Options {
        natwatch: bench.natwatch()?,
        reply: None,
        backends: BACKENDS,
        traffic: false,
        ..Options::default()
    })
}

fn watch(bench: &Bench, pace: Pace, window: Duration) -> anyhow::Result<Row> {
    progress(&format!("what watch takes ({pace:?}), {} s", window.as_secs()));
    let lab = raise(bench)?;
    lab.configure(pace.changes())?;
    seasoned(&lab)?;
    let watcher = Watcher::start(&lab, &["watch"])?;
    watcher.settle(&lab)?;
    let spent = |watcher: &Watcher| watcher.group.as_ref().map(Group::spent).transpose();
    let bytes = || lab.wire("nat2").map(|(received, sent)| received + sent);
    lab.api().forget_calls();
    let (began, spent_before, bytes_before) = (Instant::now(), spent(&watcher)?, bytes()?);
    let (mut tree, mut own, mut highest) = (Memory::default(), Memory::default(), 0);
    let mut next = began;
    while began.elapsed() < window {
        let sample = Sample::take(&lab, &watcher)?;
        tree.add(sample.tree);
        own.add(sample.own);
        highest = sample.tree.max(highest);
        next += LOOK_EVERY;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let took = began.elapsed().as_secs_f64();
    let processor = spent(&watcher)?.zip(spent_before);
    let processor = processor.map(|(after, before)| after.saturating_sub(before).as_secs_f64() / took * 100.0);
    #[expect(clippy::cast_precision_loss, reason = "megabytes of a few minutes")]
    let wire = (bytes()? - bytes_before) as f64 / took;
    let calls = u32::try_from(lab.api().calls().len())?;
    watcher.stop()?;
    Ok(Row {
        what: match pace {
            Pace::Usual => "`natwatch watch`, as it comes",
            Pace::Fast => "`natwatch watch`, fast",
        },
        tree: (tree.middle(), highest),
        own: own.middle(),
        processor,
        wire,
        calls: format!("{:.0} an hour ({calls} counted)", f64::from(calls) / took * 3600.0),
    })
}

fn cron(bench: &Bench) -> anyhow::Result<Row> {
    progress("what run takes");
    let lab = raise(bench)?;
    // The first run of an hour refreshes the guarded subnets.
    lab.api().forget_calls();
    seasoned(&lab)?;
    let calls = lab.api().calls().len();
    let (mut tree, mut own, mut highest) = (Memory::default(), Memory::default(), 0);
    let mut spent = Duration::ZERO;
    let runs = bench.runs();
    let bytes = || lab.wire("nat2").map(|(received, sent)| received + sent);
    let before = bytes()?;
    for _ in 0..runs {
        let measured = measure(&lab.command(&["run"]))?;
        anyhow::ensure!(measured.run.status == Some(0), "a run that should be healthy is not: {}", measured.run);
        spent += measured.processor.unwrap_or_default();
    }
    let bytes = bytes()? - before;
    for _ in 0..runs {
        let (_, peak) = weigh(&lab, &lab.command(&["run"]))?;
        tree.add(peak.tree);
        own.add(peak.own);
        highest = peak.tree.max(highest);
    }
    let each = f64::from(u32::try_from(runs)?) * CRON.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "kilobytes of a few runs")]
    let wire = bytes as f64 / each;
    Ok(Row {
        what: "`natwatch run`, each two minutes",
        tree: (tree.middle(), highest),
        own: own.middle(),
        processor: (spent > Duration::ZERO).then(|| spent.as_secs_f64() / each * 100.0),
        wire,
        calls: format!("{calls} an hour"),
    })
}
