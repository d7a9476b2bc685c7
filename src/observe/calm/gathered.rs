//! The round of the calm so far.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::checked::Checked;
use crate::model::{Control, ControlFate, Family, Member, Moment, Probe, Round, Silence, Target, Testimony};
use crate::observe::TargetName;
use crate::observe::panel::Drawn;

/// See the module.
pub(super) struct Gathered {
    pub(super) began: Instant,
    started: Moment,
    controls: BTreeMap<IpAddr, ControlFate>,
    pub(super) members: Vec<Member>,
}

impl Gathered {
    pub(super) fn new(now: Moment) -> Self {
        Self { began: Instant::now(), started: now, controls: BTreeMap::new(), members: Vec::new() }
    }

    /// One reply is enough for the round.
    pub(super) fn control(&mut self, addr: IpAddr, fate: ControlFate) {
        let known = self.controls.entry(addr).or_insert(ControlFate::NoReply);
        if !matches!(known, ControlFate::Good { .. }) {
            *known = fate;
        }
    }

    /// What `drawn` said last, of each family, is what counts.
    pub(super) fn hear(&mut self, drawn: Drawn, testimony: Testimony) {
        if let Testimony::Probes(probes) = &testimony {
            self.started = probes.iter().map(|probe| probe.earliest).fold(self.started, Moment::min);
        }
        let host = &drawn.backend.host;
        let before = self.members.iter().position(|one| one.backend.host == *host).map(|at| self.members.remove(at));
        let testimony = match (before.map(|one| one.testimony), testimony) {
            (Some(Testimony::Probes(before)), Testimony::Probes(mut probes)) => {
                let family = |probe: &Probe| probe.target.family();
                let mut all: Vec<Probe> =
                    before.into_iter().filter(|one| probes.iter().all(|new| family(new) != family(one))).collect();
                all.append(&mut probes);
                Testimony::Probes(all)
            }
            (_, testimony) => testimony,
        };
        self.members.push(member(drawn, testimony));
    }

    /// How many spoke of targets of `family`.
    pub(super) fn heard(&self, family: Family) -> usize {
        self.members.iter().filter(|one| speaks_of(&one.testimony, family)).count()
    }

    /// Whether `host` has said all that is to be expected of it: something of `family`, or that it can't be heard.
    pub(super) fn spoken(&self, host: &str, family: Family) -> bool {
        let said = self.members.iter().find(|one| one.backend.host == host).map(|one| &one.testimony);
        said.is_some_and(|said| matches!(said, Testimony::Silent(_)) || speaks_of(said, family))
    }

    /// Whether `host` is part of it.
    pub(super) fn has(&self, host: &str) -> bool {
        self.members.iter().any(|one| one.backend.host == host)
    }

    /// The round as it is, with those who are `silent` still.
    pub(super) fn round(
        mut self,
        targets: &[(TargetName, Result<Target, String>)],
        checked: &Checked,
        silent: Vec<(Drawn, Silence)>,
        ended: Moment,
        limit: Duration,
    ) -> Round {
        let fate = |target: &Target| {
            // A round of few backends is over before each target has had its turn.
            let known = self.controls.get(&target.addr).or_else(|| checked.fate(target.addr)).cloned();
            known.unwrap_or_else(|| ControlFate::NotAsked("its turn has not come yet".to_owned()))
        };
        let controls = targets.iter().map(|(name, target)| match target {
            Ok(target) => Control { name: name.clone(), target: Some(target.clone()), fate: fate(target) },
            Err(why) => Control { name: name.clone(), target: None, fate: ControlFate::NotAsked(why.clone()) },
        });
        let controls = controls.collect();
        self.members.extend(silent.into_iter().map(|(drawn, why)| member(drawn, Testimony::Silent(why))));
        Round { started: self.started, ended, limit, controls, members: self.members }
    }
}

fn speaks_of(testimony: &Testimony, family: Family) -> bool {
    matches!(testimony, Testimony::Probes(probes) if probes.iter().any(|one| one.target.family() == family))
}

fn member(drawn: Drawn, testimony: Testimony) -> Member {
    Member { backend: drawn.backend, subnet: drawn.subnet, witness: drawn.witness, reached: drawn.reached, testimony }
}
