//! From the decision to the last subnet's first packet, by the number of subnets; natwatch, and the AWS CLI with one call after the other.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use natwatch_lab::{Invocation, Lab, Options, Run};

use super::figures::{Counts, Seconds};
use super::meter::measure;
use super::outage::{back_since, break_it, home, on_standby};
use super::{Bench, progress};

/// Debian's package; what an operator would paste commands for.
const AWS: &str = "/usr/bin/aws";

/// Runs of the AWS CLI where they take half a minute each.
const LONG_RUNS: usize = 2;

/// From so many subnets on.
const LONG: usize = 16;

/// What takes longer hangs: fifty calls of the AWS CLI take a minute on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// What natwatch says when it has decided.
const DECIDED: &str = "; moving ";

/// A line of the table.
pub(super) struct Row {
    pub(super) subnets: usize,
    /// From natwatch's decision to the first packet, in the subnet that is last.
    pub(super) natwatch: Seconds,
    /// EC2 calls of the whole run that change something.
    pub(super) changing: Counts,
    /// And those that read.
    pub(super) reading: Counts,
    /// From the start of the first command likewise.
    pub(super) cli: Seconds,
}

pub(super) fn all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    anyhow::ensure!(Path::new(AWS).exists(), "the bench misses {AWS}: `lab setup --bench` installs it");
    let sizes: &[usize] = if bench.quick { &[1, 4] } else { &[1, 4, 16, 50] };
    sizes.iter().map(|subnets| row(bench, *subnets)).collect()
}

fn row(bench: &Bench, subnets: usize) -> anyhow::Result<Row> {
    progress(&format!("raising a lab with {subnets} subnets to move"));
    let lab = Lab::up(&Options {
        natwatch: bench.natwatch()?,
        reply: None,
        subnets,
        backends: 8.max(subnets),
        ..Options::default()
    })?;
    lab.configure(&[("decision.run_span", "\"0s\"")])?;
    let mut row = Row {
        subnets,
        natwatch: Seconds::default(),
        changing: Counts::default(),
        reading: Counts::default(),
        cli: Seconds::default(),
    };
    for _ in 0..bench.runs() {
        prepare(&lab)?;
        lab.api().forget_calls();
        // The moment and the wall clock's name for it, so that what natwatch says when can be set beside the packets.
        let (now, wall) = (Instant::now(), Timestamp::now());
        let run = measure(&lab.command(&["-v", "run"]))?.run;
        anyhow::ensure!(run.status == Some(4), "a run that should have taken over has not: {run}");
        let later = Duration::try_from(decided(&run)?.duration_since(wall)).context("decided before it was started")?;
        row.natwatch.add(back_since(&lab, now + later)?);
        let calls = lab.api().calls();
        let changing = calls.iter().filter(|call| call.is_mutating()).count();
        row.changing.add(u64::try_from(changing)?);
        row.reading.add(u64::try_from(calls.len() - changing)?);
    }
    for _ in 0..if subnets >= LONG { LONG_RUNS.min(bench.runs()) } else { bench.runs() } {
        prepare(&lab)?;
        let commands = by_hand(&lab)?;
        let started = Instant::now();
        let run = commands.spawn()?.wait(PATIENCE)?;
        anyhow::ensure!(run.status == Some(0), "the AWS CLI failed: {run}");
        row.cli.add(back_since(&lab, started)?);
    }
    Ok(row)
}

/// An outage, just begun, that natwatch has witnesses of.
fn prepare(lab: &Lab) -> anyhow::Result<()> {
    home(lab)?;
    lab.reset_state()?;
    // A round ends when its verdict is clear, so not everybody is a witness after the first.
    for _ in 0..3 {
        let run = lab.natwatch(&["run"])?;
        anyhow::ensure!(run.status == Some(0), "a run that should be healthy is not: {run}");
    }
    break_it(lab)
}

/// When natwatch said that it had decided.
fn decided(run: &Run) -> anyhow::Result<Timestamp> {
    let line =
        run.stderr.lines().find(|line| line.contains(DECIDED)).context("natwatch does not say when it decided")?;
    let at = line.split_whitespace().next().unwrap_or_default();
    at.parse().with_context(|| format!("a time of natwatch's: {line}"))
}

/// The commands that do the same by hand. The ids are known beforehand, as from a runbook that is up to date.
fn by_hand(lab: &Lab) -> anyhow::Result<Invocation> {
    let ids = lab.ids();
    let listed = ["ec2", "describe-route-tables", "--route-table-ids", &ids.primary.table];
    let query = ["--output", "text", "--query", "RouteTables[].Associations[?SubnetId].RouteTableAssociationId"];
    // Debian's knows no `AWS_ENDPOINT_URL_EC2` yet.
    let endpoint = lab.plan().endpoint();
    let asked = on_standby(lab, AWS, &[&["--endpoint-url", &endpoint], &listed[..], &query[..]].concat()).run()?;
    let associations: Vec<_> = asked.stdout.split_whitespace().collect();
    anyhow::ensure!(associations.len() == ids.subnets.len(), "the primary's associations: {asked}");
    let mut script = String::from("set -e\n");
    for association in associations {
        // Writing to a string cannot fail.
        let _ = writeln!(
            script,
            "{AWS} --endpoint-url {endpoint} ec2 replace-route-table-association --association-id {association} --route-table-id {} > /dev/null",
            ids.standby.table
        );
    }
    Ok(on_standby(lab, "/bin/sh", &["-c", &script]))
}
