//! Whether a takeover helped, by the data path: do backends of the moved subnets reach targets again, by the families that were
//! down?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::pass::Going;
use crate::act::Changer;
use crate::model::{
    Backend, BackendVerdict, Change, Cidr, Family, Move, SubnetId, Target, Testimony, Verdict, Verification,
};
use crate::observe::panel::SubnetMap;
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};

/// Between two looks at whether backends reach again. A look that fails has waited `targets.timeout` already; this keeps one
/// that fails at once from becoming a loop without a pause.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many backends are asked per subnet: with three heard, two must reach (the contract's "Verified"); one may be silent.
const ASKED_PER_SUBNET: usize = 4;

/// Subnets in which so many were heard need two that reach; others one.
const HEARD_FOR_TWO: usize = 3;

/// Who can tell whether a subnet reaches again, and how many of them must.
struct Watchers {
    backends: Vec<Backend>,
    needed: usize,
}

/// How a change may still be on its way when EC2 has said that it is made: seconds, as AWS words it. A reply in this time may have come
/// by the old way, and proves nothing where that way was well.
const TAKES_EFFECT: Duration = Duration::from_secs(5);

/// What was before the moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Those who are asked were cut off: whoever reaches, reaches by the new way.
    Outage,
    /// Traffic flowed by the old way.
    Flowing,
}

/// Looks, until `takeover.verify_for` is over, whether backends of the moved subnets reach targets again. `Unverified` says that they were
/// asked for as long as that; where the deadline left less, and none was seen to reach, it stays `Pending`.
pub(super) async fn verify<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
    going: &Going<'_, V, U, C, H>,
    moves: &mut [Move],
) {
    look(going, moves, if going.case.planned { After::Flowing } else { After::Outage }).await;
}

/// The same, for who knows what was before.
pub(super) async fn look<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
    going: &Going<'_, V, U, C, H>,
    moves: &mut [Move],
    after: After,
) {
    let patience = going.settings.act.verify_for;
    let whole = Instant::now() + patience;
    let until = whole.min(going.deadline);
    if after == After::Flowing && moves.iter().any(|one| one.result.moved()) {
        sleep(TAKES_EFFECT.min(patience / 2)).await;
    }
    let proofs: Vec<Proof> = dead(going).into_iter().map(|family| Proof::of(going, family)).collect();
    let verdicts = join_all(moves.iter().map(|one| {
        let (proofs, ours) = (&proofs, one.result.moved());
        async move {
            if !ours {
                return Verification::Pending;
            }
            let proofs = telling(proofs, &one.plan, going.settings.decide.method.destinations());
            let looks = one.plan.subnets().iter().flat_map(|subnet| proofs.iter().map(move |proof| (subnet, *proof)));
            let found = join_all(looks.map(|(subnet, proof)| proof.look(going, subnet.as_str(), until))).await;
            let worst = [Verification::Unverified, Verification::Pending, Verification::Verified];
            match worst.into_iter().find(|verdict| found.contains(verdict)) {
                // It takes all of the time to say so. What the deadline cut short is for the next pass to see.
                Some(Verification::Unverified) if until < whole => Verification::Pending,
                verdict => verdict.unwrap_or(Verification::Unwitnessed),
            }
        }
    }))
    .await;
    for (one, verdict) in moves.iter_mut().zip(verdicts) {
        one.verification = verdict;
    }
}

/// The families that are to recover: one that was not down would prove nothing by being up. All, where none was, and where an operator
/// asked for the moves.
fn dead<V: Vantages, U: Uplink, C, H>(going: &Going<'_, V, U, C, H>) -> Vec<Family> {
    let latest = going.case.latest();
    let down: Vec<Family> = latest.iter().filter(|one| one.verdict == Verdict::Down).map(|one| one.family).collect();
    if down.is_empty() || going.case.planned { latest.iter().map(|one| one.family).collect() } else { down }
}

/// The proofs that say something of a change. Pings tell of a route only if a target's way may lead by one of those that are moved: a
/// virtual address proves nothing by itself, and is vouched for by the default route that leads to the same interface. A route is
/// judged by its own family, where that is to recover; where it came along with another, by that.
fn telling<'p>(proofs: &'p [Proof], plan: &Change, destinations: &[Cidr]) -> Vec<&'p Proof> {
    let Change::Route(plan) = plan else { return proofs.iter().collect() };
    let covered: Vec<&Proof> = proofs
        .iter()
        .filter(|proof| proof.targets.iter().any(|target| destinations.iter().any(|one| one.contains(&target.addr))))
        .collect();
    let own: Vec<&Proof> =
        covered.iter().copied().filter(|proof| proof.family == Family::of(plan.destination.addr())).collect();
    if own.is_empty() { covered } else { own }
}

/// What it takes to see that a family flows again.
struct Proof {
    family: Family,
    targets: Vec<Target>,
    watchers: BTreeMap<String, Watchers>,
}

impl Proof {
    fn of<V: Vantages, U: Uplink, C, H>(going: &Going<'_, V, U, C, H>, family: Family) -> Self {
        let last = going.case.looks.last();
        let mut targets: Vec<Target> =
            last.map_or_else(Vec::new, |look| look.round.good_targets(family).cloned().collect());
        if targets.is_empty() && going.case.planned {
            // That none answers the standby is why somebody would go back to the primary.
            let located = going.targets.located().iter().filter_map(|(_, target)| target.as_ref().ok());
            targets = located.filter(|target| target.family() == family).cloned().collect();
        }
        Self { family, targets, watchers: watchers(going, family) }
    }

    async fn look<V: Vantages, U: Uplink, C, H>(
        &self,
        going: &Going<'_, V, U, C, H>,
        subnet: &str,
        until: Instant,
    ) -> Verification {
        let Some(watchers) = self.watchers.get(subnet) else { return Verification::Unwitnessed };
        match reached(going, watchers, &self.targets, until).await {
            Some(true) => Verification::Verified,
            Some(false) => Verification::Unverified,
            None => Verification::Pending,
        }
    }
}

/// `None`: the time was over before anybody was asked, as for a process that was frozen.
async fn reached<V: Vantages, U: Uplink, C, H>(
    going: &Going<'_, V, U, C, H>,
    watchers: &Watchers,
    targets: &[Target],
    until: Instant,
) -> Option<bool> {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut asked = false;
    while reached.len() < watchers.needed && Instant::now() < until {
        asked = true;
        let left = watchers.backends.iter().filter(|one| !reached.contains(one.host.as_str()));
        let answers = join_all(
            left.map(|backend| async move { (backend, going.observer.reaches(backend, targets, until).await) }),
        )
        .await;
        reached.extend(answers.into_iter().filter(|(_, reaches)| *reaches).map(|(backend, _)| backend.host.as_str()));
        if reached.len() < watchers.needed {
            sleep(LOOK_EVERY).await;
        }
    }
    asked.then_some(reached.len() >= watchers.needed)
}

/// By subnet: the backends found cut off in any round of this pass by their family, else witnesses that the panel did not hold; and
/// where an operator asked for the moves, those who reached, for they can tell as well.
fn watchers<V: Vantages, U: Uplink, C, H>(going: &Going<'_, V, U, C, H>, family: Family) -> BTreeMap<String, Watchers> {
    let map = SubnetMap::new(going.case.guarded.as_ref(), &going.settings.observe.within);
    let judgements = going.case.judgements();
    let judged = || judgements.get(&family).into_iter().flatten().flat_map(|one| &one.backends);
    let mut heard: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for one in judged().filter(|one| one.verdict != BackendVerdict::Silent) {
        heard.entry(one.subnet.clone()).or_default().insert(&one.host);
        if one.verdict == BackendVerdict::CutOff || going.case.planned {
            known.insert(&one.host);
        }
    }
    let mut watchers: BTreeMap<String, Watchers> = BTreeMap::new();
    // Those found cut off first: they are known to answer, and to have something to recover from.
    for wanted in [true, false] {
        for backend in going.backends.iter().filter(|backend| known.contains(backend.host.as_str()) == wanted) {
            let Some(subnet) = map.of(backend).filter(|_| wanted || tells(going, backend, family)) else { continue };
            let known = heard.get(&subnet).map_or(0, BTreeSet::len);
            let entry = watchers.entry(subnet).or_insert_with(|| Watchers {
                backends: Vec::new(),
                needed: if known >= HEARD_FOR_TWO { 2 } else { 1 },
            });
            if entry.backends.len() < ASKED_PER_SUBNET {
                entry.backends.push(backend.clone());
            }
        }
    }
    for one in watchers.values_mut() {
        one.needed = one.needed.min(one.backends.len());
    }
    watchers
}

/// Whether a backend that was not heard can tell all the same: it is a witness and, where an operator asked for the moves, it was not
/// found mute a moment ago.
fn tells<V: Vantages, U: Uplink, C, H>(going: &Going<'_, V, U, C, H>, backend: &Backend, family: Family) -> bool {
    let mute = || {
        let members = going.case.looks.iter().flat_map(|look| &look.round.members);
        members.filter(|one| one.backend.host == backend.host).any(|one| matches!(one.testimony, Testimony::Silent(_)))
    };
    let witness = going.witnesses.is_witness(&backend.host, backend.addr, family, (going.world.wall)());
    witness && !(going.case.planned && mute())
}

/// Up to `most` backends of a subnet that can tell whether it reaches the internet over IPv4: those that were just heard first.
pub(super) fn who_can_tell<V: Vantages, U: Uplink, C, H>(
    going: &Going<'_, V, U, C, H>,
    subnet: &SubnetId,
    most: usize,
) -> Vec<Backend> {
    let found = watchers(going, Family::V4).remove(subnet.as_str());
    found.map_or_else(Vec::new, |watchers| watchers.backends.into_iter().take(most).collect())
}

/// How many backends of each subnet can tell whether it reaches the internet.
pub(super) fn able<V: Vantages, U: Uplink, C, H>(going: &Going<'_, V, U, C, H>) -> BTreeMap<SubnetId, usize> {
    let map = SubnetMap::new(going.case.guarded.as_ref(), &going.settings.observe.within);
    let judged = going.case.latest();
    let reached = |host: &str| {
        let mut all = judged.iter().flat_map(|one| &one.backends);
        all.any(|one| one.host == host && one.verdict == BackendVerdict::Reaches)
    };
    let mut able: BTreeMap<SubnetId, usize> = BTreeMap::new();
    for backend in &going.backends {
        let tells = [Family::V4, Family::V6].into_iter().any(|family| tells(going, backend, family));
        if (tells || reached(&backend.host))
            && let Some(subnet) = map.of(backend).and_then(|subnet| subnet.parse().ok())
        {
            *able.entry(subnet).or_default() += 1;
        }
    }
    able
}
