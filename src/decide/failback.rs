//! What a failback does: which subnets come back, which one first, and whether the primary could carry them; and what it came to.
//!
//! No evidence is needed, since an operator asked for it. Traffic flows through the standby meanwhile, so whatever is not certain is
//! a reason not to begin.

mod ending;
mod ready;

use std::collections::{BTreeMap, BTreeSet};

use super::gates::{self, hold};
use super::{DecideSettings, Lock};
use crate::model::{
    Change, Gate, GuardedSet, Hold, InstanceId, Move, MoveResult, Phase, PlannedAddress, PlannedMove, Record,
    RouteTable, RouteTableId, SubnetId, Survey, Verification,
};

pub use ending::{Steps, failed_back};
pub use ready::unready;
use ready::{leads_home, primary_runs};

/// Everything that a failback is planned from.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// What EC2 looks like.
    pub survey: &'a Survey,
    /// The takeover record.
    pub lock: &'a Lock,
    /// The guarded subnets as known.
    pub guarded: Option<&'a GuardedSet>,
    /// Only these subnets; empty: those of the record, else of `takeover.subnets`.
    pub wanted: &'a [SubnetId],
    /// `failback.canary`.
    pub canary: Option<&'a SubnetId>,
    /// How many backends of each subnet can tell whether it reaches the internet.
    pub witnesses: &'a BTreeMap<SubnetId, usize>,
}

/// What is brought back, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// This instance.
    pub standby: InstanceId,
    /// On their way home by the record and at home by EC2, and nobody has seen them reach since.
    pub unproven: Vec<Move>,
    /// The one that goes first; `None`: nothing is left to be moved, or all goes at once, since it is one route.
    pub canary: Option<SubnetId>,
    /// Everything that is moved, the canary included.
    pub moves: Vec<Change>,
    /// Who stays where, and why; a line each.
    pub stays: Vec<String>,
}

/// The way back, or why there is none.
///
/// # Errors
/// The gates that hold: whatever could make it a move into a hole.
pub fn failback(wish: &Wish<'_>, rules: &DecideSettings) -> Result<WayBack, Vec<Hold>> {
    let mut holds = Vec::new();
    if let Lock::Unreadable(why) = wish.lock {
        holds.push(hold(Gate::Locked, why, ""));
    }
    let identity =
        wish.survey.identity.as_ref().map_err(|why| {
            hold(Gate::Unfit, format!("this instance's id is not known: {why}"), "set standby.instance")
        });
    let (primary, standby, own) = match (gates::tables(wish.survey, rules), identity) {
        (Ok((primary, standby)), Ok(own)) => (primary, standby, own),
        (tables, identity) => {
            holds.extend(tables.err().into_iter().flatten());
            holds.extend(identity.err());
            return Err(holds);
        }
    };
    let subnets = match subnets(wish, rules, standby) {
        Ok(subnets) => subnets,
        Err(found) => {
            holds.push(found);
            return Err(holds);
        }
    };
    let routes = routes_back(wish.lock, &primary.id, own);
    holds.extend(primary_runs(wish.survey, rules));
    if routes.is_empty() {
        // Where the routes themselves go back, they lead here until then.
        holds.extend(leads_home((wish.survey, wish.guarded), primary, own, rules));
    }
    let mut way =
        WayBack { standby: own.clone(), unproven: Vec::new(), canary: None, moves: routes, stays: Vec::new() };
    for subnet in &subnets {
        let name = name(wish.guarded, subnet);
        if let Some(one) = gates::association(standby, subnet) {
            way.moves.push(Change::Association(PlannedMove {
                subnet: subnet.clone(),
                name,
                association: one.id.clone(),
                from: standby.id.clone(),
                to: primary.id.clone(),
            }));
        } else if gates::association(primary, subnet).is_some() {
            way.unproven.extend(unproven(wish.lock, subnet, primary, own));
        } else if wish.wanted.contains(subnet) {
            holds.push(hold(
                Gate::Foreign,
                format!("{subnet} has no explicit association with {} or {}", primary.id, standby.id),
                "natwatch status",
            ));
        } else {
            way.stays.push(format!("{subnet} is on neither table by now: somebody else has it, and it stays there"));
        }
    }
    if let Some(found) = first(wish, &mut way, rules) {
        holds.push(found);
    }
    if holds.is_empty() { Ok(way) } else { Err(holds) }
}

/// Whether a change brings traffic back to the primary, rather than to this instance.
#[must_use]
pub fn homeward(change: &Change, primary: &RouteTableId, own: &InstanceId) -> bool {
    match change {
        Change::Association(one) => one.to == *primary,
        Change::Route(one) => one.from.as_ref().is_some_and(|way| way.instance.as_ref() == Some(own)),
    }
}

/// The Elastic IP address that is still to come back, the way back.
#[must_use]
pub fn address_back(record: &Record) -> Option<PlannedAddress> {
    let step = record.last.address.as_ref()?;
    match (step.leads_to(&record.instance), step.came_along()) {
        (true, true) => Some(step.plan.reversed()),
        // It never came, or it is back.
        (true, false) | (false, true) => None,
        (false, false) => Some(step.plan.clone()),
    }
}

fn name(guarded: Option<&GuardedSet>, subnet: &SubnetId) -> Option<String> {
    guarded?.subnets.iter().find(|one| one.subnet == *subnet)?.name.clone()
}

/// Which subnets it is about.
fn subnets(wish: &Wish<'_>, rules: &DecideSettings, standby: &RouteTable) -> Result<BTreeSet<SubnetId>, Hold> {
    let taken: BTreeSet<SubnetId> = match wish.lock {
        Lock::Held { moves, .. } => moves.iter().flat_map(|one| one.plan.subnets()).cloned().collect(),
        Lock::Free | Lock::Unreadable(_) => BTreeSet::new(),
    };
    let of = |subnets: &[SubnetId]| subnets.iter().cloned().collect::<BTreeSet<_>>();
    if !wish.wanted.is_empty() {
        return Ok(of(wish.wanted));
    }
    if matches!(wish.lock, Lock::Held { .. }) {
        return Ok(taken);
    }
    if !rules.subnets.is_empty() {
        return Ok(of(&rules.subnets));
    }
    let guarded = wish.guarded.map_or(&[][..], |set| &set.subnets);
    let here: Vec<String> = guarded
        .iter()
        .filter(|one| gates::association(standby, &one.subnet).is_some())
        .map(|one| format!(" --subnet {}", one.subnet))
        .collect();
    let remedy = if here.is_empty() { " --subnet <id>".to_owned() } else { here.concat() };
    Err(hold(
        Gate::Foreign,
        "no takeover is on record, and takeover.subnets names none: which subnets are to be brought back is not known",
        format!("natwatch failback{remedy}"),
    ))
}

/// The record's routes, the other way round. They have no token, so the record alone says where they led.
fn routes_back(lock: &Lock, primary: &RouteTableId, own: &InstanceId) -> Vec<Change> {
    let Lock::Held { moves, .. } = lock else { return Vec::new() };
    let routes = moves.iter().filter(|one| matches!(one.plan, Change::Route(_)));
    routes
        .filter_map(|one| {
            if homeward(&one.plan, primary, own) { Some(one.plan.clone()) } else { one.plan.reversed(|_| None) }
        })
        .collect()
}

/// What a failback has brought home and nobody has verified: by the record it is on its way, or on its way to the standby again, where
/// it never came.
fn unproven(lock: &Lock, subnet: &SubnetId, primary: &RouteTable, own: &InstanceId) -> Option<Move> {
    let Lock::Held { moves, phase, .. } = lock else { return None };
    let found = moves.iter().find(|one| one.plan.subnet() == Some(subnet))?;
    if homeward(&found.plan, &primary.id, own) {
        let proven = matches!(found.verification, Verification::Verified | Verification::Unwitnessed);
        return (!proven).then(|| found.clone());
    }
    if *phase != Phase::FailingBack || found.result.moved() {
        return None;
    }
    let plan = found.plan.reversed(|_| gates::association(primary, subnet).map(|one| one.id.clone()))?;
    Some(Move { plan, result: MoveResult::Pending, verification: Verification::Pending, ..found.clone() })
}

/// Chooses the canary; what keeps it from being one.
fn first(wish: &Wish<'_>, way: &mut WayBack, rules: &DecideSettings) -> Option<Hold> {
    let moved: Vec<&SubnetId> = way.moves.iter().filter_map(Change::subnet).collect();
    if moved.is_empty() || moved.len() < way.moves.len() {
        return None;
    }
    let tell = |subnet: &SubnetId| wish.witnesses.get(subnet).copied().unwrap_or_default();
    let named = wish.canary.filter(|canary| moved.contains(canary));
    let canary = named.or_else(|| canary(&moved, tell))?.clone();
    if tell(&canary) == 0 {
        let why = format!(
            "no backend of {canary} is known to reach the internet, so nobody could tell whether the primary carries it"
        );
        let remedy = format!(
            "bring its backends to life, or name another subnet as failback.canary; where there is no other: see that the primary \
             forwards, and move it by hand (aws ec2 replace-route-table-association \
             --route-table-id {}), then natwatch reset",
            rules.primary_table
        );
        return Some(hold(Gate::Unfit, why, remedy));
    }
    way.canary = Some(canary);
    None
}

/// The subnet with the fewest witnesses, at least two where any has two: little is risked, and yet it can be seen.
pub(super) fn canary<'s>(moved: &[&'s SubnetId], tell: impl Fn(&SubnetId) -> usize) -> Option<&'s SubnetId> {
    let least = moved.iter().map(|one| tell(one)).max()?.min(2);
    moved.iter().filter(|one| tell(one) >= least).min_by_key(|one| tell(one)).copied()
}
