//! The targets of a pass: where they are, and what is remembered of them from pass to pass.
//!
//! What it has to say of a target is for people: a target that does not answer is no evidence against anybody, and one that flaps
//! is a bad choice. While no target of a family answers, the standby's own uplink is the likelier cause, and nothing is learned
//! about single targets of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Control, ControlFate, Family, Round, Target};
use crate::observe::TargetName;
use crate::observe::resolve::{self, Located, Resolver};
use crate::record::State;
use crate::record::targets::Targets;

/// Where the targets are now, and what is remembered.
#[derive(Debug, Default)]
pub(super) struct TargetBook {
    located: Vec<(TargetName, Result<Target, String>)>,
    /// Why an address of an earlier time is used.
    troubles: Vec<String>,
    memory: Targets,
}

impl TargetBook {
    /// What is remembered, and what to warn about. Nothing is located yet.
    pub(super) fn load(state: &State) -> (Self, Option<String>) {
        let (memory, trouble) = Targets::load(state);
        (Self { memory, ..Self::default() }, trouble)
    }

    /// Every target with its address, or why it has none; in the order of the configuration.
    pub(super) fn located(&self) -> &[(TargetName, Result<Target, String>)] {
        &self.located
    }

    /// Looks names up for a round that begins after `pause`; `None`: for the first, which may be held up for half a second.
    pub(super) async fn locate(
        &mut self,
        resolver: &impl Resolver,
        names: &[TargetName],
        pause: Option<Duration>,
        now: Timestamp,
    ) {
        let found = resolve::targets(resolver, names, &self.known(now), pause.map(resolve::patience)).await;
        self.take(found, now);
    }

    /// Where names were found within the last hour.
    pub(super) fn known(&self, now: Timestamp) -> BTreeMap<TargetName, IpAddr> {
        self.memory.known(now)
    }

    /// What came of looking names up.
    pub(super) fn take(&mut self, found: Vec<Located>, now: Timestamp) {
        self.troubles.clear();
        self.located.clear();
        for Located { name, target, fresh, trouble } in found {
            if let Ok(target) = target.as_ref()
                && fresh
            {
                self.memory.found(&name, target.addr, now);
            }
            self.troubles
                .extend(trouble.map(|why| format!("{why}; the address that it had within the last hour is used")));
            self.located.push((name, target));
        }
    }

    /// Notes who answered in `round` and who did not.
    pub(super) fn learn(&mut self, round: &Round, now: Timestamp) {
        if round.ended.saturating_sub(round.started) > round.limit {
            return;
        }
        for (control, good) in told(round) {
            self.memory.observed(&control.name, good, now);
        }
    }

    /// What there is to say of single targets after `round`, one line each.
    pub(super) fn notes(&self, round: Option<&Round>, now: Timestamp) -> Vec<String> {
        let mut notes: Vec<String> = self.located.iter().filter_map(|(_, one)| one.as_ref().err()).cloned().collect();
        notes.extend(self.troubles.iter().cloned());
        let dead =
            round.into_iter().flat_map(told).filter_map(|(control, good)| control.target.as_ref().filter(|_| !good));
        notes.extend(dead.map(|target| {
            format!("target {target} does not answer this standby, while others do; it is no evidence against anybody")
        }));
        let flapping = self.memory.flapping(now);
        let flapping: Vec<_> =
            flapping.iter().filter(|(name, _)| self.located.iter().any(|(one, _)| one == name)).collect();
        if flapping.len() > 1 && flapping.len() == self.located.len() {
            notes.push("all targets flap: within an hour each began and ceased to answer this standby four times or more; look at this standby's own uplink".to_owned());
        } else {
            notes.extend(flapping.iter().map(|(name, changes)| {
                format!("target {name} flaps: {changes} times within an hour it began or ceased to answer this standby; a steadier target serves better")
            }));
        }
        notes
    }

    /// Keeps what is new. What can't be kept is told.
    pub(super) fn save(&mut self, state: &State, names: &[TargetName]) -> Option<String> {
        self.memory.save(state, names).err().map(|error| error.to_string())
    }
}

/// The targets of which a round says something, and whether they were good: none of a family of which no target was.
fn told(round: &Round) -> impl Iterator<Item = (&Control, bool)> {
    // A name that did not resolve would have been an IPv4 target.
    let family = |control: &Control| control.target.as_ref().map_or(Family::V4, Target::family);
    let alive = move |control: &&Control| round.good_targets(family(control)).next().is_some();
    round.controls.iter().filter(alive).filter_map(|control| match (&control.fate, &control.target) {
        (ControlFate::Good { .. }, _) => Some((control, true)),
        (ControlFate::NoReply, _) | (ControlFate::NotAsked(_), None) => Some((control, false)),
        // Not asked, or not asked again before the round ended: nothing is known.
        (ControlFate::NotAsked(_), Some(_)) => None,
    })
}

#[cfg(test)]
mod tests;
