//! How long an outage lasts under each tool that might end it, measured from traffic; and which outages it does not see.
//!
//! One lab for each tool, with the same faults, API and subnets. Every run begins with all at home and the tool at rest, and the
//! fault comes anywhere within the tool's period. The outage is that of the subnet that is worst. Tools that take nothing over
//! wait out the limit side by side, as they do nothing meanwhile; whatever takes over is measured alone.

mod data;
mod keepalived;
mod peer;
mod run;
mod scripts;
mod takeover;
mod text;
mod watch;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use natwatch_lab::{Fault, Hop, Lab, Nat, Options};

use super::figures::Seconds;
use super::outage::home;
use super::watcher::Pace;
use super::{Bench, aim, complain, progress};
pub(super) use data::{Data, Measured, Runs, Takeover};
#[cfg(test)]
pub(super) use data::{Flow, Mark};
pub(super) use run::seasoned;
pub(super) use text::{brief, full};

/// An outage that no tool has ended by then is missed.
const LIMIT: Duration = Duration::from_secs(15);

/// A fault that silences nobody for so long has no effect; datagrams are sent each 20 ms.
const EFFECT: Duration = Duration::from_millis(100);

/// What happens to the primary, in words and in the lab.
const FAULTS: [(&str, Fault); 4] = [
    ("primary crashed", Fault::Crash(Nat::Primary)),
    ("masquerade gone", Fault::MasqueradeGone(Nat::Primary)),
    ("ip_forward off", Fault::ForwardOff(Nat::Primary)),
    ("uplink dead", Fault::UplinkDead(Nat::Primary)),
];

/// The fault whose takeover is drawn: the one that only natwatch sees, and that no link tells of.
const DRAWN: usize = 1;

/// What is measured.
trait Tool: Send {
    fn label(&self) -> &'static str;

    /// Whether it is natwatch; such tools see every fault, others are run side by side where they see none.
    fn ours(&self) -> bool {
        false
    }

    /// A fault comes anywhere within it.
    fn period(&self) -> Duration {
        Duration::ZERO
    }

    /// Starts whatever stays for all runs.
    fn begin(&mut self, _: &Lab) -> anyhow::Result<()> {
        Ok(())
    }

    /// Brings it to rest before a run; everything else is at home.
    fn settle(&mut self, lab: &Lab) -> anyhow::Result<()>;

    /// The fault is there.
    fn fault(&mut self, _: &Lab) -> anyhow::Result<()> {
        Ok(())
    }

    /// The outage has ended (`taken`), or was missed, or there was none; waits until all that belongs to it has been done.
    fn rest(&mut self, lab: &Lab, taken: bool) -> anyhow::Result<()>;

    /// When it first looked more closely after `since`, as seen from outside.
    fn burst(&self, _since: Instant) -> anyhow::Result<Option<Instant>> {
        Ok(None)
    }

    /// What it has said so far, with times.
    fn log(&self) -> String {
        String::new()
    }
}

/// The names of `--tool`.
pub(super) const TOOLS: [&str; 6] = ["watch", "watch-fast", "run", "keepalived", "keepalived-fast", "peer"];

fn tool(name: &str) -> anyhow::Result<Box<dyn Tool>> {
    Ok(match name {
        "watch" => Box::new(watch::Watch::new(Pace::Usual)),
        "watch-fast" => Box::new(watch::Watch::new(Pace::Fast)),
        "run" => Box::new(run::Cron::default()),
        "keepalived" => Box::new(keepalived::Keepalived::usual()),
        "keepalived-fast" => Box::new(keepalived::Keepalived::fast()),
        "peer" => Box::new(peer::Peer::default()),
        _ => anyhow::bail!("there is no tool `{name}`, only {}", TOOLS.join(", ")),
    })
}

/// A tool in its lab. The lab is dropped first: it ends all that the tool has started.
struct Place {
    lab: Lab,
    tool: Box<dyn Tool>,
    measured: Measured,
}

impl Place {
    fn new(bench: &Bench, name: &str) -> anyhow::Result<Self> {
        let mut tool = tool(name)?;
        progress(&format!("raising a lab for {}", tool.label()));
        let lab = Lab::up(&Options { natwatch: bench.natwatch()?, reply: None, ..Options::default() })?;
        tool.begin(&lab).with_context(|| format!("begin with {}", tool.label()))?;
        let faults = vec![Runs::default(); FAULTS.len()];
        let measured = Measured { tool: tool.label().to_owned(), ours: tool.ours(), faults };
        Ok(Self { lab, tool, measured })
    }

    /// All runs with one fault; a takeover, of the run in the middle.
    fn runs(&mut self, n: usize, runs: usize) -> anyhow::Result<Option<Takeover>> {
        let Some((what, fault)) = FAULTS.get(n) else { return Ok(None) };
        let mut takeovers = Vec::new();
        let mut of = Runs::default();
        while of.count() < runs {
            let done = self.one(fault, n == DRAWN).with_context(|| format!("{}, {what}", self.tool.label()))?;
            match done {
                Done::Restored(outage, takeover) => {
                    of.outages.push(millis(outage));
                    takeovers.extend(takeover);
                }
                Done::Missed => of.missed += 1,
                Done::Astray => of.astray += 1,
            }
            anyhow::ensure!(of.astray <= runs, "{} moves subnets all the time", self.tool.label());
        }
        progress(&format!("{}: {what}: {}", self.tool.label(), text::cell(&of)));
        *self.measured.faults.get_mut(n).context("a fault without a place")? = of;
        takeovers.sort_by_key(|one| one.outage);
        Ok(takeovers.into_iter().nth((runs - 1) / 2))
    }

    fn one(&mut self, fault: &Fault, drawn: bool) -> anyhow::Result<Done> {
        let Self { lab, tool, .. } = self;
        // A record of its own for each run: one of an hour takes long to look through.
        lab.traffic().stop();
        lab.traffic().start()?;
        home(lab)?;
        tool.settle(lab)?;
        thread::sleep(tool.period().mul_f64(rand::random()));
        if carried(lab) > 0 {
            tool.rest(lab, false)?;
            return Ok(Done::Astray);
        }
        lab.api().forget_calls();
        let (mark, zero) = (lab.traffic().mark(), Timestamp::now());
        lab.inject(fault)?;
        tool.fault(lab)?;
        while carried(lab) < lab.ids().subnets.len() && mark.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(5));
        }
        if carried(lab) < lab.ids().subnets.len() {
            tool.rest(lab, false)?;
            return Ok(Done::Missed);
        }
        lab.traffic().wait_flowing(Duration::from_secs(5)).context("the standby carries nothing")?;
        let outages = lab.traffic().outages_since(mark);
        let worst = outages.iter().map(|one| one.silence).max().unwrap_or_default();
        anyhow::ensure!(worst > EFFECT, "the fault has no effect: {outages:?}");
        tool.rest(lab, true)?;
        let takeover = if drawn && tool.ours() {
            thread::sleep((mark + takeover::AFTER).saturating_duration_since(Instant::now()));
            Some(takeover::seen(lab, tool.as_ref(), mark, zero, worst)?)
        } else {
            None
        };
        Ok(Done::Restored(worst, takeover))
    }
}

/// How a run ended.
enum Done {
    Restored(Duration, Option<Takeover>),
    Missed,
    /// Subnets had been moved before there was a fault.
    Astray,
}

/// How many of the subnets are the standby's.
pub(super) fn carried(lab: &Lab) -> usize {
    (0..lab.ids().subnets.len()).filter(|subnet| lab.hop(*subnet) == Some(Hop::Nat(Nat::Standby))).count()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Median and worst over all faults, in seconds, that natwatch's paces are meant to keep.
fn aims(data: &Data) {
    for (pace, median, worst) in [(Pace::Usual, 1.5, Some(2.0)), (Pace::Fast, 0.9, None)] {
        let tool = data.tools.iter().find(|tool| tool.tool == watch::Watch::new(pace).label());
        let mut all = Seconds::default();
        for outage in tool.into_iter().flat_map(|tool| &tool.faults).flat_map(|runs| &runs.outages) {
            all.add(Duration::from_millis(*outage));
        }
        if let Some((middle, longest)) = all.median().zip(all.longest()) {
            aim(&format!("median outage, {pace:?}"), middle.as_secs_f64(), median);
            if let Some(worst) = worst {
                aim(&format!("worst outage, {pace:?}"), longest.as_secs_f64(), worst);
            }
        }
    }
}

/// All other faults, each in a lab of its own, as nothing is expected to happen; by the tool's place and the fault's.
fn side_by_side(bench: &Bench, tools: &[(usize, &str)], runs: usize) -> anyhow::Result<Vec<(usize, usize, Runs)>> {
    let mut places = Vec::new();
    for (at, name) in tools {
        for n in 1..FAULTS.len() {
            places.push((*at, n, Place::new(bench, name)?));
        }
    }
    thread::scope(|scope| {
        let waiting: Vec<_> =
            places.iter_mut().map(|(_, n, place)| scope.spawn(|| place.runs(*n, runs).map(drop))).collect();
        let panicked = |_| anyhow::anyhow!("a measuring thread panicked");
        waiting.into_iter().try_for_each(|one| one.join().map_err(panicked).flatten())
    })?;
    let of = |n: usize, place: &Place| place.measured.faults.get(n).cloned().unwrap_or_default();
    Ok(places.iter().map(|(at, n, place)| (*at, *n, of(*n, place))).collect())
}

/// Runs all tools, or those asked for.
pub(super) fn all(bench: &Bench, measured: &str) -> anyhow::Result<Data> {
    let runs = bench.outage_runs();
    let names: Vec<&str> =
        if bench.tool.is_empty() { TOOLS.to_vec() } else { bench.tool.iter().map(String::as_str).collect() };
    let mut data = Data {
        measured: measured.to_owned(),
        limit: millis(LIMIT),
        faults: FAULTS.iter().map(|(what, _)| (*what).to_owned()).collect(),
        tools: Vec::new(),
        takeover: None,
    };
    progress(&format!(
        "outages: {} tools, {} faults, {runs} runs each; with 10 runs each it takes half an hour",
        names.len(),
        FAULTS.len()
    ));
    let mut others = Vec::new();
    for name in names {
        let mut place = Place::new(bench, name)?;
        if place.measured.ours {
            for n in 0..FAULTS.len() {
                let takeover = place.runs(n, runs)?;
                data.takeover = data.takeover.or(takeover);
            }
            if !bench.tool.is_empty() {
                complain(&place.tool.log());
            }
        } else {
            // The one fault that they see.
            place.runs(0, runs)?;
            others.push((data.tools.len(), name));
        }
        data.tools.push(place.measured);
    }
    for (at, n, of) in side_by_side(bench, &others, runs)? {
        let place = data.tools.get_mut(at).and_then(|tool| tool.faults.get_mut(n));
        *place.context("a tool or fault without a place")? = of;
    }
    aims(&data);
    Ok(data)
}
