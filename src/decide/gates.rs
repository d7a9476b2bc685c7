//! Whether this standby may take over, and what exactly it would move: gates and plan, from a survey.
//!
//! Every gate that holds is named, with what was seen and what to do about it: a hold while backends are cut off is as
//! loud as a failure, and an operator who mends one gate should not find the next one tonight.

mod admission;
mod fit;
mod last;
mod route;
mod tables;

pub(super) use admission::refused;
pub use fit::leads_here;
pub(super) use fit::{machine, unknown_identity};
pub(super) use route::option_of;
pub(super) use tables::{behind_these_tables, tables};

use std::collections::BTreeSet;

use super::{DecideSettings, Lock};
use crate::model::{
    Association, Change, Family, Gate, Guarded, GuardedSet, Hold, Method, Paused, Phase, Plan, PlannedMove, RouteTable,
    RouteTableId, SubnetId, Survey,
};

/// Everything that the gates look at, and the families that are judged.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What EC2 and this machine look like.
    pub survey: &'a Survey,
    /// The takeover record.
    pub lock: &'a Lock,
    /// A pause that is not over.
    pub paused: Option<&'a Paused>,
    /// The guarded subnets as saved earlier.
    pub guarded: Option<&'a GuardedSet>,
    /// The families of the targets.
    pub families: &'a [Family],
    /// An operator asks for it, and knows of the lock, the pause and what is booting: these don't hold then.
    pub planned: bool,
}

/// The plan, or every gate that holds (at least one).
///
/// # Errors
/// The gates that hold.
pub fn plan(situation: Situation<'_>, settings: &DecideSettings) -> Result<Plan, Vec<Hold>> {
    let mut holds = Vec::new();
    holds.extend(locked(situation.lock, situation.planned));
    if !situation.planned {
        holds.extend(booting(situation.survey, settings));
        holds.extend(situation.paused.map(|pause| hold(Gate::Paused, pause.to_string(), "natwatch resume")));
    }
    let identity = situation.survey.identity.as_ref().map_err(|why| unknown_identity(why));
    let tables = match tables(situation.survey, settings) {
        Ok(tables) => Some(tables),
        Err(found) => {
            holds.extend(found);
            None
        }
    };
    let identity = match identity {
        Ok(id) => Some(id),
        Err(found) => {
            holds.push(found);
            None
        }
    };
    holds.extend(fit::machine(situation.survey));

    let mut moves = Vec::new();
    if let Some((primary, standby)) = tables {
        let (planned, found) = match &settings.method {
            Method::Association => subnets(situation, primary, standby, settings),
            Method::Route { destinations } => route::plan(situation, (primary, standby), destinations, settings),
        };
        moves = planned;
        holds.extend(found);
        let seen = situation.guarded.filter(|set| set.primary == primary.id && set.standby == standby.id);
        holds.extend(refused(moves.iter().flat_map(Change::subnets), seen));
        let count = moves.iter().flat_map(Change::subnets).collect::<BTreeSet<_>>().len();
        if count > settings.max_subnets {
            let why = format!("{count} subnets are to be moved, takeover.max_subnets is {}", settings.max_subnets);
            holds.push(hold(Gate::TooMany, why, "raise takeover.max_subnets or name the subnets in takeover.subnets"));
        }
    }

    let mut disable_check = None;
    if let (Some(identity), Some(tables)) = (identity, tables) {
        let carries = |own: &Option<_>| fit::carries((identity, own.as_ref()), situation.families, tables, settings);
        match situation.survey.standby.as_ref().map(carries) {
            Ok(Ok(interface)) => disable_check = interface,
            Ok(Err(found)) => holds.extend(found),
            Err(why) => holds.push(hold(Gate::Unfit, format!("EC2 can't be asked about this instance: {why}"), "")),
        }
    }

    match (identity, tables) {
        (Some(identity), Some((primary, standby))) if holds.is_empty() => Ok(Plan {
            standby: identity.clone(),
            disable_check,
            moves,
            address: last::address(situation, (primary, standby), settings),
            reboot: settings.primary_instance.clone().filter(|_| settings.reboot_primary),
        }),
        _ => Err(holds),
    }
}

pub(super) fn hold(gate: Gate, why: impl Into<String>, remedy: impl Into<String>) -> Hold {
    Hold { gate, why: why.into(), remedy: remedy.into() }
}

fn locked(lock: &Lock, planned: bool) -> Option<Hold> {
    match lock {
        // A takeover that is not complete is gone on with, on evidence as fresh as for a first one. What a failback has brought
        // back is guarded again.
        Lock::Free | Lock::Held { phase: Phase::Taking | Phase::Partial | Phase::FailingBack, .. } => None,
        Lock::Held { phase: Phase::Taken, .. } if planned => None,
        Lock::Held { phase: Phase::Taken, .. } => Some(hold(
            Gate::Locked,
            "an earlier takeover is on record and nothing is moved twice",
            "repair the primary, then: natwatch failback",
        )),
        Lock::Unreadable(why) => Some(hold(Gate::Locked, why, "")),
    }
}

fn booting(survey: &Survey, settings: &DecideSettings) -> Vec<Hold> {
    let mut holds = Vec::new();
    match &survey.uptime {
        Ok(uptime) if *uptime < settings.min_uptime => {
            let left = seconds_up(settings.min_uptime.saturating_sub(*uptime));
            let why = format!(
                "this instance booted {} s ago, decision.min_uptime is {} s; {left} s to go",
                uptime.as_secs(),
                settings.min_uptime.as_secs()
            );
            holds.push(hold(Gate::Booting, why, ""));
        }
        Ok(_) => {}
        Err(why) => holds.push(hold(
            Gate::Booting,
            format!("the uptime can't be read, so this instance counts as just booted: {why}"),
            "let the service read /proc (no ProcSubset=pid, no PrivateUsers)",
        )),
    }
    if let Some(Ok(Some(primary))) = &survey.primary {
        let name = &primary.id;
        if primary.state == "pending" {
            holds.push(hold(Gate::Booting, format!("the primary {name} is pending"), ""));
        } else if let Some(ago) =
            primary.launched_ago.filter(|ago| primary.state == "running" && *ago < settings.min_uptime)
        {
            let left = seconds_up(settings.min_uptime.saturating_sub(ago));
            holds.push(hold(
                Gate::Booting,
                format!("the primary {name} was started {} s ago; {left} s to go", ago.as_secs()),
                "",
            ));
        }
    }
    holds
}

/// Whole seconds, rounded up, so that "0 s to go" is never said of a gate that holds.
fn seconds_up(time: std::time::Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// The moves: every guarded subnet that is on the primary's table; and what is wrong with the guarded subnets.
fn subnets(
    situation: Situation<'_>,
    primary: &RouteTable,
    standby: &RouteTable,
    settings: &DecideSettings,
) -> (Vec<Change>, Vec<Hold>) {
    let known: &[Guarded] =
        situation.guarded.filter(|set| set.primary == primary.id).map_or(&[], |set| set.subnets.as_slice());
    let listed = |subnet: &SubnetId| settings.subnets.is_empty() || settings.subnets.contains(subnet);
    let moves: Vec<Change> = primary
        .associations
        .iter()
        .filter_map(|one| one.subnet.as_ref().map(|subnet| (one, subnet)))
        .filter(|(_, subnet)| listed(subnet))
        .map(|(one, subnet)| PlannedMove {
            subnet: subnet.clone(),
            name: known.iter().find(|guarded| &guarded.subnet == subnet).and_then(|guarded| guarded.name.clone()),
            association: one.id.clone(),
            from: primary.id.clone(),
            to: standby.id.clone(),
        })
        .map(Change::Association)
        .collect();
    let mut holds: Vec<Hold> =
        settings.subnets.iter().filter_map(|subnet| astray(situation.survey, subnet, primary, standby)).collect();
    if moves.is_empty() && holds.is_empty() {
        let guarded: Vec<&SubnetId> = if settings.subnets.is_empty() {
            known.iter().map(|one| &one.subnet).collect()
        } else {
            settings.subnets.iter().collect()
        };
        holds.push(nothing_to_move(&guarded, primary, standby));
    }
    (moves, holds)
}

/// A subnet of `takeover.subnets` that is on neither table.
fn astray(survey: &Survey, subnet: &SubnetId, primary: &RouteTable, standby: &RouteTable) -> Option<Hold> {
    if association(primary, subnet).or_else(|| association(standby, subnet)).is_some() {
        return None;
    }
    let elsewhere = survey.tables.iter().flatten().find_map(|table| association(table, subnet).map(|one| (table, one)));
    let (why, remedy) = match elsewhere {
        Some((table, one)) => (
            format!("{subnet} of takeover.subnets is on {}, not on {} or {}", table.id, primary.id, standby.id),
            format!(
                "aws ec2 replace-route-table-association --association-id {} --route-table-id {}",
                one.id, primary.id
            ),
        ),
        None => (
            format!("{subnet} of takeover.subnets has no explicit association with {} or {}", primary.id, standby.id),
            format!("aws ec2 associate-route-table --subnet-id {subnet} --route-table-id {}", primary.id),
        ),
    };
    Some(hold(Gate::Foreign, why, remedy))
}

fn nothing_to_move(guarded: &[&SubnetId], primary: &RouteTable, standby: &RouteTable) -> Hold {
    if guarded.is_empty() {
        return nothing_guarded(&primary.id);
    }
    let here = guarded.iter().filter(|subnet| association(standby, subnet).is_some()).count();
    let carriers = if here == guarded.len() {
        format!("{} has them", standby.id)
    } else if here > 0 {
        format!("{} and other tables have them", standby.id)
    } else {
        "other tables have them".to_owned()
    };
    hold(Gate::AlreadyActive, format!("no guarded subnet is on {}; {carriers}", primary.id), "")
}

/// The primary's table has no subnet of its own.
pub(super) fn nothing_guarded(primary: &RouteTableId) -> Hold {
    hold(
        Gate::Foreign,
        format!("no subnet is explicitly associated with primary.route_table = {primary}: nothing is guarded"),
        format!("aws ec2 associate-route-table --subnet-id <private subnet> --route-table-id {primary}"),
    )
}

pub(super) fn association<'a>(table: &'a RouteTable, subnet: &SubnetId) -> Option<&'a Association> {
    table.associations.iter().find(|one| one.subnet.as_ref() == Some(subnet))
}
