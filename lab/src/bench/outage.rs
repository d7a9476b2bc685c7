//! From the start of a run to traffic restored, with the primary's masquerade rule gone; natwatch, and a shell script in its place.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use natwatch_lab::{Fault, Invocation, Lab, Nat, Options, REGION, Run, target, venv};

use super::figures::{Memory, Seconds};
use super::meter::{measure, weigh};
use super::{Bench, progress};

const SCRIPT: &str = include_str!("naive.sh");
const EC2: &str = include_str!("ec2.py");

/// Runs of the script, at most: nearly all its time is waiting of fixed length, half a minute of it.
const SCRIPT_RUNS: usize = 3;

/// A line of the table.
pub(super) struct Row {
    pub(super) what: String,
    /// To the first packet through, in the subnet that is last.
    pub(super) restored: Seconds,
    /// To the run's end.
    pub(super) ended: Seconds,
    pub(super) processor: Seconds,
    pub(super) tree: Memory,
}

impl Row {
    fn new(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            restored: Seconds::default(),
            ended: Seconds::default(),
            processor: Seconds::default(),
            tree: Memory::default(),
        }
    }
}

pub(super) fn all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    progress("raising a lab with 6 backends in 2 subnets");
    let lab = Lab::up(&Options { natwatch: bench.natwatch()?, reply: None, ..Options::default() })?;
    let mut rows = vec![
        natwatch(bench, &lab, "natwatch, as it comes (evidence spans 3 s)", &[])?,
        natwatch(bench, &lab, "natwatch, `decision.run_span = \"0s\"`", &[("decision.run_span", "\"0s\"")])?,
    ];
    install(&lab)?;
    let waits: &[&str] = if bench.quick { &["-c 3 -W 2"] } else { &["-c 3 -W 2", "-c 1"] };
    for ping in waits {
        rows.push(script(bench, &lab, ping)?);
    }
    Ok(rows)
}

fn natwatch(bench: &Bench, lab: &Lab, what: &str, changes: &[(&str, &str)]) -> anyhow::Result<Row> {
    progress(what);
    lab.configure(changes)?;
    let mut row = Row::new(what);
    let prepare = || -> anyhow::Result<Invocation> {
        home(lab)?;
        lab.reset_state()?;
        // Twice: a round ends when its verdict is clear, so not everybody is a witness after the first.
        for _ in 0..2 {
            let run = measure(&lab.command(&["run"]))?.run;
            anyhow::ensure!(run.status == Some(0), "a run that should be healthy is not: {run}");
        }
        break_it(lab)?;
        Ok(lab.command(&["run"]))
    };
    for _ in 0..bench.runs() {
        let measured = measure(&prepare()?)?;
        row.restored.add(restored(lab, &measured.run)?);
        row.ended.add(measured.run.elapsed);
        measured.processor.into_iter().for_each(|spent| row.processor.add(spent));
    }
    for _ in 0..bench.runs() {
        let (run, peak) = weigh(lab, &prepare()?)?;
        restored(lab, &run)?;
        row.tree.add(peak.tree);
    }
    Ok(row)
}

fn script(bench: &Bench, lab: &Lab, ping: &str) -> anyhow::Result<Row> {
    let runs = bench.runs().min(SCRIPT_RUNS);
    let fewer = if runs < bench.runs() { format!(" ({runs} runs)") } else { String::new() };
    let what = format!("the script, `ping {ping}`{fewer}");
    progress(&what);
    let mut row = Row::new(&what);
    for n in 0..runs {
        home(lab)?;
        let invocation = naive(lab, ping)?;
        if n == 0 {
            let run = invocation.run()?;
            anyhow::ensure!(run.status == Some(0), "the script should find nothing wrong: {run}");
        }
        break_it(lab)?;
        let measured = measure(&invocation)?;
        row.restored.add(restored(lab, &measured.run)?);
        row.ended.add(measured.run.elapsed);
        measured.processor.into_iter().for_each(|spent| row.processor.add(spent));
    }
    Ok(row)
}

/// Everything as it was before the outage.
pub(super) fn home(lab: &Lab) -> anyhow::Result<()> {
    lab.heal_all()?;
    for subnet in 0..lab.ids().subnets.len() {
        lab.associate(subnet, &lab.ids().primary.table)?;
    }
    lab.traffic().wait_flowing(Duration::from_secs(5))
}

pub(super) fn break_it(lab: &Lab) -> anyhow::Result<()> {
    lab.inject(&Fault::MasqueradeGone(Nat::Primary))?;
    lab.traffic().wait_silent(Duration::from_secs(5))
}

/// From the run's start to the first echo, in the subnet that is last. Nothing had come back just before.
fn restored(lab: &Lab, run: &Run) -> anyhow::Result<Duration> {
    anyhow::ensure!(run.status == Some(4), "a run that should have taken over has not: {run}");
    back_since(lab, run.started)
}

/// From `since` to the first packet that came back, in the subnet that is last, all of them being on the standby's table.
pub(super) fn back_since(lab: &Lab, since: Instant) -> anyhow::Result<Duration> {
    lab.traffic().wait_flowing(Duration::from_secs(5))?;
    let mut last = Duration::ZERO;
    for subnet in 0..lab.ids().subnets.len() {
        anyhow::ensure!(lab.carrier(subnet)? == lab.ids().standby.table, "subnet {subnet} has not been moved");
        let samples = lab.traffic().samples(subnet);
        let back = samples.iter().filter(|one| one.sent >= since).find_map(|one| one.back);
        last = last.max(back.context("no packet came back")?.duration_since(since));
    }
    Ok(last)
}

fn install(lab: &Lab) -> anyhow::Result<()> {
    for (name, text) in [("naive.sh", SCRIPT), ("ec2.py", EC2)] {
        let path = lab.plan().root.join("bin").join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// A program on the standby, as natwatch's user, with the same API.
pub(super) fn on_standby(lab: &Lab, program: &str, args: &[&str]) -> Invocation {
    let plan = lab.plan();
    let ca = if plan.tls { plan.ca().to_string_lossy().into_owned() } else { String::new() };
    lab.program("nat2", program, args)
        .as_user()
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ENDPOINT_URL_EC2", &plan.endpoint())
        .env("AWS_CA_BUNDLE", &ca)
}

/// The script, with the same key, backends and targets as natwatch.
fn naive(lab: &Lab, ping: &str) -> anyhow::Result<Invocation> {
    let (plan, ids) = (lab.plan(), lab.ids());
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let bin = plan.root.join("bin");
    let (python, ec2) = (text(venv().join("bin/python")), text(bin.join("ec2.py")));
    // Moving a subnet gives it a new association, so they are asked for each time; before the clock starts.
    let asked = on_standby(lab, &python, &[&ec2, "associations", &ids.primary.table]).run()?;
    let associations: Vec<_> = asked.stdout.split_whitespace().collect();
    anyhow::ensure!(associations.len() == ids.subnets.len(), "the primary's associations: {asked}");
    let backends: Vec<_> = plan.backends().map(|host| host.name.as_str()).collect();
    let targets: Vec<_> = (1..=3).map(|n| target(n).to_string()).collect();
    Ok(on_standby(lab, "/bin/sh", &[&text(bin.join("naive.sh"))])
        .env("BACKENDS", &backends.join(" "))
        .env("TARGETS", &targets.join(" "))
        .env("PING", ping)
        .env("IDENTITY", &text(plan.identity()))
        .env("KNOWN_HOSTS", &text(plan.known_hosts()))
        .env("ASSOCIATIONS", &associations.join(" "))
        .env("STANDBY", &ids.standby.table)
        .env("EC2", &format!("{python} {ec2}")))
}
