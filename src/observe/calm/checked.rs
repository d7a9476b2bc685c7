//! Which targets answer the standby, by the latest control ping of each that came to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::{ControlFate, Family, Target};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Checked(BTreeMap<IpAddr, (u64, ControlFate)>);

impl Checked {
    /// The control ping of `turn` came to its end. One that is lost does so after those that followed it, and counts no more then.
    pub(super) fn note(&mut self, turn: u64, addr: IpAddr, fate: ControlFate) {
        if self.0.get(&addr).is_none_or(|(known, _)| *known <= turn) {
            self.0.insert(addr, (turn, fate));
        }
    }

    /// Forgets what is none of `located`.
    pub(super) fn forget_others(&mut self, located: &[Target]) {
        self.0.retain(|addr, _| located.iter().any(|one| one.addr == *addr));
    }

    pub(super) fn fate(&self, addr: IpAddr) -> Option<&ControlFate> {
        self.0.get(&addr).map(|(_, fate)| fate)
    }

    /// Whether it answered; `None` before its first turn.
    pub(super) fn good(&self, addr: IpAddr) -> Option<bool> {
        self.fate(addr).map(|fate| matches!(fate, ControlFate::Good { .. }))
    }

    /// Likewise; `None` too where it was not asked in this turn or later.
    pub(super) fn good_since(&self, addr: IpAddr, turn: u64) -> Option<bool> {
        let (last, _) = self.0.get(&addr)?;
        if *last >= turn { self.good(addr) } else { None }
    }

    /// How many of `located` a backend may be asked for, family by family: those that answer, as far as is known. A family of which none
    /// does is nobody's to wait for, unless none of any does.
    pub(super) fn families(&self, located: &[Target]) -> BTreeMap<Family, usize> {
        let of = |targets: &mut dyn Iterator<Item = &Target>| {
            let families: Vec<Family> = targets.map(Target::family).collect();
            let all: BTreeSet<Family> = families.iter().copied().collect();
            let count = |family: &Family| families.iter().filter(|one| *one == family).count();
            all.iter().map(|family| (*family, count(family))).collect::<BTreeMap<_, _>>()
        };
        let alive = of(&mut located.iter().filter(|one| self.good(one.addr) != Some(false)));
        if alive.is_empty() { of(&mut located.iter()) } else { alive }
    }
}
