//! What each member of a panel amounts to, and the heads of each kind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::GOOD_TARGETS_TO_ACCUSE;
use crate::decide::DecideSettings;
use crate::model::{BackendVerdict, Family, Fate, Judged, Member, Moment, Probe, Silence, SilenceReason, Testimony};

/// Heads counted over a round, in all or in one subnet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Count {
    pub(super) reaches: usize,
    pub(super) cut_off: usize,
    pub(super) awaited: usize,
}

impl Count {
    /// Two or more are heard, and all of them reach.
    pub(super) const fn clears(self) -> bool {
        self.cut_off == 0 && self.reaches >= 2
    }
}

/// A backend's verdict, and the moments between which its counted misses were sent.
pub(super) struct Weighed {
    pub(super) judged: Judged,
    pub(super) awaited: bool,
    pub(super) misses: Option<(Moment, Moment)>,
}

/// What `member` has said, where these targets are `good`.
pub(super) fn weigh(member: &Member, good: &BTreeSet<IpAddr>, settings: &DecideSettings, family: Family) -> Weighed {
    let base = |verdict, silence, target, rtt| Judged {
        host: member.backend.host.clone(),
        subnet: member.subnet.clone(),
        verdict,
        silence,
        target,
        rtt,
    };
    let silence = |silence: Silence, target| base(BackendVerdict::Silent, Some(silence), target, None);
    let quiet = |judged| Weighed { judged, awaited: false, misses: None };
    let probes = match &member.testimony {
        Testimony::Silent(why) => return quiet(silence(why.clone(), None)),
        Testimony::Awaited => {
            let why =
                Silence { reason: SilenceReason::NotAwaited, detail: "the round ended before it was heard".to_owned() };
            return Weighed { awaited: true, ..quiet(silence(why, None)) };
        }
        Testimony::Probes(probes) => probes.iter().filter(|probe| probe.target.family() == family),
    };

    if let Some((probe, rtt)) = probes.clone().find_map(|probe| match probe.fate {
        Fate::Reply { rtt } => Some((probe, rtt)),
        Fate::NoReply => None,
    }) {
        return quiet(base(BackendVerdict::Reaches, None, Some(probe.target.clone()), Some(rtt)));
    }

    if member.reached.contains(&family) {
        return quiet(base(BackendVerdict::Reaches, None, None, None));
    }
    let missed: Vec<&Probe> = probes.filter(|probe| good.contains(&probe.target.addr)).collect();
    let distinct: BTreeSet<IpAddr> = missed.iter().map(|probe| probe.target.addr).collect();
    let target = missed.last().map(|probe| probe.target.clone());
    if distinct.len() < settings.tries || good.len() < GOOD_TARGETS_TO_ACCUSE {
        let needed = if good.len() < GOOD_TARGETS_TO_ACCUSE {
            settings.tries.max(GOOD_TARGETS_TO_ACCUSE)
        } else {
            settings.tries
        };
        let detail = format!("missed {} of {} good targets; it takes {needed} to accuse", distinct.len(), good.len());
        return quiet(silence(Silence { reason: SilenceReason::TooFewTargets, detail }, target));
    }
    if !member.witness.contains(&family) {
        let detail =
            "reaches nothing, but has never been seen to: allow ICMP echo from it through the primary".to_owned();
        return quiet(silence(Silence { reason: SilenceReason::Unproven, detail }, target));
    }
    let first = missed.iter().map(|probe| probe.latest).min();
    let last = missed.iter().map(|probe| probe.earliest).max();
    Weighed { judged: base(BackendVerdict::CutOff, None, target, None), awaited: false, misses: first.zip(last) }
}

/// The heads in all, and in each subnet.
pub(super) fn count(weighed: &[Weighed]) -> (Count, BTreeMap<&str, Count>) {
    let mut all = Count::default();
    let mut subnets: BTreeMap<&str, Count> = BTreeMap::new();
    for one in weighed {
        let subnet = subnets.entry(one.judged.subnet.as_str()).or_default();
        for count in [&mut all, subnet] {
            match one.judged.verdict {
                BackendVerdict::Reaches => count.reaches += 1,
                BackendVerdict::CutOff => count.cut_off += 1,
                BackendVerdict::Silent => count.awaited += usize::from(one.awaited),
            }
        }
    }
    (all, subnets)
}
