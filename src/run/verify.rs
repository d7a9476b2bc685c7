//! Whether a takeover helped, by the data path: do backends of the moved subnets reach targets again?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::pass::Going;
use crate::act::Changer;
use crate::model::{Backend, BackendVerdict, Family, Move, Target, Verification};
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

/// Looks, until `takeover.verify_for` is over, whether backends of the moved subnets reach targets again.
pub(super) async fn verify<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
    going: &Going<'_, V, U, C, H>,
    moves: &mut [Move],
) {
    let until = (Instant::now() + going.settings.act.verify_for).min(going.deadline);
    let targets: Vec<Target> = going
        .case
        .looks
        .last()
        .map(|look| {
            [Family::V4, Family::V6].into_iter().flat_map(|family| look.round.good_targets(family)).cloned().collect()
        })
        .unwrap_or_default();
    let watchers = watchers(going);
    let verdicts = join_all(moves.iter().map(|one| {
        let watchers = watchers.get(one.plan.subnet.as_str());
        let ours = one.result.moved();
        let targets = &targets;
        async move {
            match watchers {
                _ if !ours => Verification::Pending,
                None => Verification::Unwitnessed,
                Some(watchers) => {
                    let reached = reached(going, watchers, targets, until).await;
                    if reached { Verification::Verified } else { Verification::Unverified }
                }
            }
        }
    }))
    .await;
    for (one, verdict) in moves.iter_mut().zip(verdicts) {
        one.verification = verdict;
    }
}

async fn reached<V: Vantages, U: Uplink, C, H>(
    going: &Going<'_, V, U, C, H>,
    watchers: &Watchers,
    targets: &[Target],
    until: Instant,
) -> bool {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    while reached.len() < watchers.needed && Instant::now() < until {
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
    reached.len() >= watchers.needed
}

/// By subnet: the backends found cut off in any round of this pass, else witnesses that the panel did not hold.
fn watchers<V: Vantages, U: Uplink, C, H>(going: &Going<'_, V, U, C, H>) -> BTreeMap<String, Watchers> {
    let map = SubnetMap::new(going.case.guarded.as_ref(), &going.settings.observe.within);
    let judgements = going.case.judgements();
    let judged = || judgements.values().flatten().flat_map(|one| &one.backends);
    let mut heard: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut cut_off: BTreeSet<&str> = BTreeSet::new();
    for one in judged().filter(|one| one.verdict != BackendVerdict::Silent) {
        heard.entry(one.subnet.clone()).or_default().insert(&one.host);
        if one.verdict == BackendVerdict::CutOff {
            cut_off.insert(&one.host);
        }
    }
    let now = (going.world.wall)();
    let families: Vec<_> = judgements.keys().copied().collect();
    let mut watchers: BTreeMap<String, Watchers> = BTreeMap::new();
    // Those found cut off first: they are known to answer, and to have something to recover from.
    for wanted in [true, false] {
        for backend in going.backends.iter().filter(|backend| cut_off.contains(backend.host.as_str()) == wanted) {
            let witness =
                families.iter().any(|family| going.witnesses.is_witness(&backend.host, backend.addr, *family, now));
            let Some(subnet) = map.of(backend).filter(|_| wanted || witness) else { continue };
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
