//! What must hold of every pass, by the truth of the script.

use std::time::Duration;

use jiff::Timestamp;
use natwatch::model::{BackendVerdict, Family, Outcome, Phase};
use natwatch::record::State;
use natwatch::record::witnesses::Witnesses;
use natwatch::run::pass::Done;

use super::cloud::{Carrier, Mover};
use super::drive::Sim;
use super::network::backend_number;
use super::script::{Cadence, Nature, PLAIN_LOSS, Script, secs};

/// Every count of many simulations, added up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: usize,
    pub(crate) passes: usize,
    pub(crate) killed: usize,
    pub(crate) frozen: usize,
    /// Takeovers begun.
    pub(crate) begun: usize,
    /// Of these, begun although the primary forwarded, where loss is above what is plain.
    pub(crate) by_loss: usize,
    /// Of these, begun by evidence that the documented limits let pass.
    pub(crate) by_limits: usize,
    /// Passes that lay in an outage and had to take over, and did.
    pub(crate) due: usize,
    /// Passes in an outage under bad conditions that left subnets on the primary.
    pub(crate) late: usize,
    /// The most of these one after the other.
    pub(crate) latest: usize,
    /// How many passes came to each exit status.
    pub(crate) exits: std::collections::BTreeMap<u8, usize>,
    row: [usize; 2],
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.passes += other.passes;
        self.killed += other.killed;
        self.frozen += other.frozen;
        self.begun += other.begun;
        self.by_loss += other.by_loss;
        self.by_limits += other.by_limits;
        self.due += other.due;
        self.late += other.late;
        self.latest = self.latest.max(other.latest);
        for (exit, count) in &other.exits {
            *self.exits.entry(*exit).or_default() += count;
        }
    }
}

/// What is known before a pass.
pub(crate) struct Seen {
    pub(crate) standby: usize,
    pub(crate) from: Duration,
    pub(crate) dry: bool,
    pub(crate) taken: bool,
    /// Who may accuse, by the wall clock of then.
    pub(crate) witnesses: Witnesses,
    pub(crate) wall: Timestamp,
    /// The saved guarded subnets are as EC2 has them.
    pub(crate) known: bool,
    /// How many changes had been asked for, and carried out.
    pub(crate) asked: usize,
    pub(crate) changes: usize,
}

/// From the last miss that counts to the first change: the rest of the round, and the second for which its evidence is fresh.
/// Where somebody may be waited for in a round, that is the round's limit.
fn freshness(script: &Script) -> Duration {
    if quick(script) { secs(2.5) } else { secs(16.0) }
}

/// Nobody is ever waited for.
fn quick(script: &Script) -> bool {
    script.backends.iter().all(|one| one.nature == Nature::Well && one.gone.0.is_empty())
        && script.rack_dark.0.is_empty()
}

/// Checks a pass (none: it was killed; two: a twin ran beside it).
pub(crate) fn after(sim: &Sim<'_>, seen: &Seen, done: &[Done], state: &State) {
    let to = sim.now();
    let standby = seen.standby;
    sim.tally.borrow_mut().passes += done.len();
    sim.tally.borrow_mut().killed += usize::from(done.is_empty());
    let began = sim.ec2.asked[standby].borrow().get(seen.asked).copied();
    if let Some(at) = began {
        begun(sim, seen, at);
    }
    moves(sim, seen);
    for one in done {
        sim.tally.borrow_mut().rounds += one.case.looks.len();
        *sim.tally.borrow_mut().exits.entry(one.pass.exit).or_default() += 1;
        assert!(
            statuses(one.pass.outcome).contains(&one.pass.exit),
            "{} ends with {}",
            one.pass.outcome,
            one.pass.exit
        );
        accusations(sim, one);
        outcome(sim, seen, one, to, began);
        bounded(sim, seen, one, to);
    }
    if let [one] = done {
        outage(sim, seen, one, to, state);
    }
}

/// A takeover begins: the truth must be that the primary has forwarded nothing for the span, and that nothing holds.
fn begun(sim: &Sim<'_>, seen: &Seen, at: Duration) {
    let script = sim.script;
    sim.tally.borrow_mut().begun += 1;
    assert!(!seen.dry, "a dry run changes EC2");
    let reset = sim.operated.borrow().iter().any(|when| *when >= seen.from);
    assert!(!seen.taken || reset, "a takeover begins although an earlier one is complete: locked");
    assert!(!script.paused.throughout(seen.from, at), "a takeover begins although paused");
    let own = &script.standbys[seen.standby];
    assert!(own.uptime + at >= sim.settings.decide.min_uptime, "a takeover begins while booting");
    assert!(own.forwards, "a takeover begins although the standby does not forward");
    assert!(
        !own.uplink_out.throughout(seen.from, at) && !script.internet_out.throughout(seen.from, at),
        "a takeover begins although the standby was isolated"
    );
    let heard = script.backends.iter().enumerate().filter(|(n, spec)| {
        let speaks = |moment| {
            matches!(script.nature(*n, moment), Nature::Well)
                || matches!(script.nature(*n, moment), Nature::Slow(after) if after < secs(10.0))
        };
        let carried = sim.ec2.carries(spec.subnet) == Carrier::Primary || moved_since(sim, seen, spec.subnet);
        seen.accuses(sim, *n) && carried && (speaks(at) || speaks(seen.from))
    });
    assert!(
        heard.count() >= sim.settings.decide.threshold,
        "a takeover begins although fewer than the threshold could be heard"
    );
    let frozen = sim.freezes.borrow().iter().any(|(from, to)| *from < at && at < *to + script.span);
    assert!(!frozen, "a takeover begins on evidence from before a freeze");
    let dead = script.dead.0.iter().any(|(from, to)| {
        *from <= at && *to + freshness(script) >= at && (*to).min(at).saturating_sub(*from) >= script.span
    });
    // Somebody brought a subnet back before EC2 was asked where it is, and its packets still took the way that they had: EC2 says
    // nothing of that, and a standby that is not up to its task looks like a primary then.
    let asked = at.saturating_sub(script.span);
    let returned = sim.ec2.changes.borrow().iter().any(|one| {
        one.to == Carrier::Primary && one.at <= asked && one.at + script.ec2.effect + freshness(script) >= at
    });
    // While somebody slow is waited for, nobody looks: two hiccups some seconds apart, each of which swallows all pings of a
    // round, can look like one.
    let unseen = !quick(script)
        && script
            .dead
            .0
            .iter()
            .chain(&script.bursts.0)
            .filter(|(from, to)| *from <= at && *to + secs(30.0) >= at)
            .count()
            >= 2;
    // Two faults at once: what is cut off for a reason of its own accuses first, then a hiccup takes the rest for a moment. Or it is
    // all that is left behind the primary, by what was known of the subnets up to an hour ago.
    let recent = at.saturating_sub(secs(30.0));
    let moved = sim.ec2.changes.borrow().iter().any(|one| one.at < at && one.at + secs(3700.0) >= at);
    let elsewhere = (0..script.subnets).any(|subnet| sim.ec2.on(subnet) == Carrier::Other);
    let hiccup = script.dead.any(recent, at) || script.bursts.any(recent, at);
    let limits = script.limited.as_ref().is_some_and(|(_, times)| times.at(at));
    let cut = (0..script.backends.len()).any(|n| script.cut(n, at));
    let compound = (limits && hiccup) || (cut && (hiccup || moved || elsewhere));
    if script.lossy() {
        sim.tally.borrow_mut().by_loss += usize::from(!dead);
    } else if !dead && (returned || unseen || compound) {
        sim.tally.borrow_mut().by_limits += 1;
    } else {
        assert!(
            dead,
            "a takeover begins at {at:?}, in a pass from {:?}, although the primary was not dead for the span: a false takeover",
            seen.from
        );
    }
}

impl Seen {
    /// Whether the backend was a witness. Who becomes one within the pass can't be cut off in all of its rounds.
    fn accuses(&self, sim: &Sim<'_>, backend: usize) -> bool {
        let one = &sim.settings.observe.backends[backend];
        self.witnesses.is_witness(&one.host, one.addr, Family::V4, self.wall)
    }
}

/// Whether the subnet was moved in this pass.
fn moved_since(sim: &Sim<'_>, seen: &Seen, subnet: usize) -> bool {
    sim.ec2.changes.borrow()[seen.changes..].iter().any(|one| one.subnet == subnet)
}

/// Every change of this pass: from the primary's table to our own; and none of a subnet twice, but where somebody has put it
/// back meanwhile.
fn moves(sim: &Sim<'_>, seen: &Seen) {
    let changes = sim.ec2.changes.borrow();
    let own = Carrier::Standby(seen.standby);
    for (n, one) in changes.iter().enumerate().skip(seen.changes) {
        let Mover::Standby(standby) = one.by else { continue };
        if standby != seen.standby {
            continue;
        }
        assert_eq!((one.from, one.to), (Carrier::Primary, own), "a move that is not from the primary to the standby");
        let last = changes[..n].iter().rev().find(|other| other.subnet == one.subnet);
        assert!(
            last.is_none_or(|last| last.by == Mover::Operator),
            "subnet {} is moved twice, at {:?} and {:?}",
            one.subnet,
            last.map(|last| last.at),
            one.at
        );
    }
}

/// Which exit statuses an outcome may have, by the contract.
fn statuses(outcome: Outcome) -> &'static [u8] {
    match outcome {
        Outcome::Healthy => &[0],
        Outcome::Degraded | Outcome::NoRedundancy => &[1],
        Outcome::Failed | Outcome::Partial | Outcome::Unverified => &[2],
        Outcome::Down => &[2, 3],
        Outcome::Isolated | Outcome::Unheard => &[3],
        Outcome::TakenOver | Outcome::WouldTakeOver => &[4],
        Outcome::Locked => &[5],
        Outcome::Busy => &[75],
        // A pass of `run` brings nothing back, and practises nothing.
        Outcome::FailedBack | Outcome::WouldFailBack | Outcome::Drilled | Outcome::WouldDrill => &[],
    }
}

/// Nobody is accused, or said to reach, against the truth.
fn accusations(sim: &Sim<'_>, done: &Done) {
    let script = sim.script;
    for one in &done.pass.judgements {
        let (from, to) = (one.started, one.ended);
        for judged in &one.backends {
            let n = backend_number(&judged.host);
            let subnet = script.backends[n].subnet;
            match judged.verdict {
                BackendVerdict::CutOff => {
                    let mute =
                        |moment| matches!(script.nature(n, moment), Nature::Refuses | Nature::Hangs | Nature::Gone);
                    assert!(!(mute(from) && mute(to)), "{} is silent and yet accuses", judged.host);
                    let reason = script.loss > 0.0
                        || script.uplink_loss > 0.0
                        || script.dead.any(from, to)
                        || script.bursts.any(from, to)
                        || script.internet_out.any(from, to)
                        || (0..script.targets).any(|target| script.target_dead[target].any(from, to))
                        || script.cut(n, from)
                        || script.cut(n, to)
                        || !sim.ec2.primary_since(subnet, from.saturating_sub(script.ec2.effect));
                    assert!(reason, "{} is called cut off and is not, at {from:?} to {to:?}", judged.host);
                }
                // One without a reply of this round was answered in an earlier one of the pass.
                BackendVerdict::Reaches if judged.rtt.is_some() => {
                    let cannot = script.dead.throughout(from, to) && sim.ec2.primary_since(subnet, from);
                    assert!(!cannot, "{} is said to reach through a dead primary", judged.host);
                }
                BackendVerdict::Reaches | BackendVerdict::Silent => {}
            }
        }
    }
}

/// The outcome is what EC2 shows.
fn outcome(sim: &Sim<'_>, seen: &Seen, done: &Done, to: Duration, began: Option<Duration>) {
    let script = sim.script;
    let operated = sim.operated.borrow().iter().any(|at| *at >= seen.from);
    let on_primary = (0..script.subnets).filter(|n| sim.ec2.on(*n) == Carrier::Primary).count();
    match done.pass.outcome {
        Outcome::TakenOver => {
            assert!(began.is_some(), "taken over without asking EC2 to move anything");
            assert!(operated || on_primary == 0, "taken over, and {on_primary} subnets are still on the primary");
        }
        Outcome::WouldTakeOver => assert!(began.is_none(), "a dry run changes EC2"),
        _ => {}
    }
    // A round of the calm goes on from what was under way before it.
    let from = done.pass.judgements.iter().map(|one| one.started).fold(seen.from, Duration::min);
    let all_dead =
        script.dead.throughout(from, to) && (0..script.subnets).all(|subnet| sim.ec2.primary_since(subnet, from));
    assert!(
        !(all_dead && [0, 1, 5].contains(&done.pass.exit)),
        "{} ({}) while the primary is dead",
        done.pass.outcome,
        done.pass.exit
    );
}

/// No pass lasts longer than its deadline and what wraps it up, but for the time that it was frozen.
fn bounded(sim: &Sim<'_>, seen: &Seen, done: &Done, to: Duration) {
    let frozen: Duration = sim
        .freezes
        .borrow()
        .iter()
        .filter(|(from, until)| *from <= to && seen.from < *until)
        .map(|(from, until)| until.saturating_sub(*from))
        .sum();
    let bound = sim.settings.deadline + secs(6.0) + frozen;
    assert!(done.pass.elapsed <= bound, "a pass of {:?}", done.pass.elapsed);
}

/// A pass that lies in an outage takes over; at once where nothing else is wrong.
fn outage(sim: &Sim<'_>, seen: &Seen, done: &Done, to: Duration, state: &State) {
    let script = sim.script;
    let own = &script.standbys[seen.standby];
    let from = seen.from;
    let alive = (0..script.targets).filter(|n| !script.target_dead[*n].any(from, to)).count();
    let behind = |subnet: usize| moved_since(sim, seen, subnet) || sim.ec2.primary_since(subnet, from);
    let witnesses = script
        .backends
        .iter()
        .enumerate()
        .filter(|(n, spec)| {
            seen.accuses(sim, *n)
                && behind(spec.subnet)
                && [from, to].into_iter().all(|moment| script.nature(*n, moment) == Nature::Well)
        })
        .count();
    // Who could not be reached may rest for half a minute still, in a watch.
    let rests = if script.cadence == Cadence::Watch { secs(35.0) } else { Duration::ZERO };
    let heard_before = from.saturating_sub(rests);
    let undisturbed = !seen.dry
        && !seen.taken
        && !script.paused.any(from, to)
        // Who was a witness may be none a month later.
        && !script.wall_jumps.iter().any(|(at, _)| (from..=to).contains(at))
        && !script.internet_out.any(from, to)
        && !own.uplink_out.any(from, to)
        && own.forwards
        && own.uptime + from >= sim.settings.decide.min_uptime
        && !script.ec2.down.any(from, to)
        && !script.ec2.throttles.any(from, to)
        && script.suspended.is_zero()
        && !sim.freezes.borrow().iter().any(|(start, end)| *start <= to && from <= *end)
        && !sim.operated.borrow().iter().any(|at| *at >= from.saturating_sub(secs(1.0)))
        && alive >= 2
        && witnesses >= sim.settings.decide.threshold
        && script.uplink_loss <= PLAIN_LOSS;
    // An answer to a ping that left before the primary died may come a round trip later; a `watch` goes on where its last pass ended.
    let answers = if script.cadence == Cadence::Watch { secs(script.rtt) } else { Duration::ZERO };
    let due =
        undisturbed && script.dead.throughout(from.saturating_sub(answers), to) && (0..script.subnets).any(&behind);
    let left = (0..script.subnets).filter(|n| sim.ec2.on(*n) == Carrier::Primary).count();
    if !due {
        sim.tally.borrow_mut().row[seen.standby] = 0;
        return;
    }
    let alone = sim.ec2.changes.borrow()[seen.changes..].iter().all(|one| one.by == Mover::Standby(seen.standby));
    let nothing_else = seen.known
        && alone
        && script.uplink_loss == 0.0
        && script.ec2.errors == 0.0
        && script
            .backends
            .iter()
            .enumerate()
            .all(|(n, _)| [from, to].into_iter().all(|moment| script.nature(n, moment) == Nature::Well))
        && script.backends.iter().all(|one| !one.gone.any(heard_before, from))
        && !script.rack_dark.any(heard_before, from);
    if nothing_else {
        assert_eq!(left, 0, "an outage is missed: {} ({})", done.pass.outcome, done.pass.because);
        if script.standbys.len() == 1 {
            let helped =
                own.carries && !own.uplink_out.any(from, to) && script.acl.is_none() && script.rack_cut.0.is_empty();
            let expected = if helped { &[4][..] } else { &[2, 4] };
            assert!(expected.contains(&done.pass.exit), "{} ({})", done.pass.outcome, done.pass.because);
            assert!(
                matches!(state.read_record(None), natwatch::model::Found::Present(record) if record.phase == Phase::Taken)
            );
        }
    }
    let mut tally = sim.tally.borrow_mut();
    tally.due += 1;
    tally.row[seen.standby] = if left > 0 { tally.row[seen.standby] + 1 } else { 0 };
    tally.late += usize::from(left > 0);
    tally.latest = tally.latest.max(tally.row[seen.standby]);
}

/// At the end of a simulation.
pub(crate) fn end(sim: &Sim<'_>) {
    let mut tally = sim.tally.borrow_mut();
    tally.frozen = sim.freezes.borrow().len();
}
