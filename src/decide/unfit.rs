//! Whether this standby could take over, asked while all is well: what would hold is to be known before the night in which it does.
//!
//! What is not known holds nothing here. On the way to a takeover it does, where nobody has the time to find out.

use super::gates::{behind_these_tables, machine, unknown_identity};
use super::{Case, Situation, plan};
use crate::model::{Gate, GuardedSet, Hold, Instance, InstanceId, RouteTable, Survey};

/// The gates that would hold a takeover now, but for those that open by themselves or are an operator's (`booting`, `paused`, `locked`), and
/// `already-active`, which has an outcome of its own.
#[must_use]
pub fn unfit(case: &Case) -> Vec<Hold> {
    let Some(survey) = &case.survey else { return Vec::new() };
    // Whether it forwards could not be seen.
    let survey = &Survey { ip_forward: Ok(!matches!(survey.ip_forward, Ok(false))), ..survey.clone() };
    let mut holds = if survey.answered() { by_plan(case, survey) } else { by_parts(case, survey) };
    holds.retain(|one| matches!(one.gate, Gate::Unfit | Gate::TooMany | Gate::Foreign));
    holds
}

/// The same of the guarded set alone, as EC2 showed it: who mends that wants to be stood by for again.
#[must_use]
pub fn misled(case: &Case) -> bool {
    let Some(Ok(identity)) = case.survey.as_ref().map(|survey| &survey.identity) else { return false };
    let Some(set) = &case.guarded else { return false };
    let behind = |tables: &Vec<RouteTable>| {
        behind_these_tables(tables, Some(identity), own(set, Some(identity)), &case.families(), &case.rules)
    };
    set.tables.as_ref().is_some_and(|tables| !behind(tables).is_empty())
}

/// This instance, where it is the one that EC2 showed with the set.
fn own<'a>(set: &'a GuardedSet, identity: Option<&InstanceId>) -> Option<&'a Option<Instance>> {
    set.own.as_ref().filter(|own| identity == Some(&own.id)).map(|own| &own.instance)
}

fn by_plan(case: &Case, survey: &Survey) -> Vec<Hold> {
    let situation = Situation {
        survey,
        lock: &case.lock,
        paused: None,
        guarded: case.guarded.as_ref(),
        families: &case.families(),
        planned: false,
    };
    plan(situation, &case.rules).err().unwrap_or_default()
}

/// EC2 was not asked, or did not answer everything: by what this machine shows, and what EC2 showed last.
fn by_parts(case: &Case, survey: &Survey) -> Vec<Hold> {
    let identity = survey.identity.as_ref();
    let mut holds: Vec<Hold> = identity.err().map(|why| unknown_identity(why)).into_iter().collect();
    holds.extend(machine(survey));
    // Each with what was seen at the same time.
    let seen = case.guarded.as_ref().and_then(|set| Some((set.tables.as_ref()?, own(set, identity.ok()))));
    let now = survey.tables.as_ref().ok().map(|tables| (tables, None));
    if let Some((tables, own)) = now.or(seen) {
        holds.extend(behind_these_tables(tables, identity.ok(), own, &case.families(), &case.rules));
    }
    holds
}
