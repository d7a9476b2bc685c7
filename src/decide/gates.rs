//! Whether this standby may take over, and what exactly it would move: gates and plan, from a survey.
//!
//! Every gate that holds is named, with what was seen and what to do about it: a hold while backends are cut off is as
//! loud as a failure, and an operator who mends one gate should not find the next one tonight.

use std::time::Duration;

use super::DecideSettings;
use crate::model::cloud::Masquerade;
use crate::model::{
    Family, Gate, Guarded, GuardedSet, Hold, Instance, InstanceId, Interface, InterfaceId, Phase, Plan, PlannedMove,
    RouteTable, SubnetId, Survey,
};

/// The lock as read before the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock<'a> {
    /// No takeover is on record.
    Free,
    /// One is, this far.
    Held(Phase),
    /// The record can't be read, is of a newer version…: held, and why. The remedy stands in the text.
    Unreadable(&'a str),
}

/// Everything that the gates look at, and the families that are judged.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What EC2 and this machine look like.
    pub survey: &'a Survey,
    /// The takeover record.
    pub lock: Lock<'a>,
    /// The guarded subnets as saved earlier.
    pub guarded: Option<&'a GuardedSet>,
    /// The families of the targets.
    pub families: &'a [Family],
}

/// The plan, or every gate that holds (at least one).
///
/// # Errors
/// The gates that hold.
pub fn plan(situation: Situation<'_>, settings: &DecideSettings) -> Result<Plan, Vec<Hold>> {
    let mut holds = Vec::new();
    holds.extend(locked(situation.lock));
    holds.extend(booting(situation.survey, settings));
    let identity =
        situation.survey.identity.as_ref().map_err(|why| {
            hold(Gate::Unfit, format!("this instance's id is not known: {why}"), "set standby.instance")
        });
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
    holds.extend(machine(situation.survey));

    let mut moves = Vec::new();
    if let Some((primary, standby)) = tables {
        match subnets(primary, standby, situation.guarded, settings) {
            Ok(planned) => moves = planned,
            Err(found) => holds.extend(found),
        }
        if moves.len() > settings.max_subnets {
            let why =
                format!("{} subnets are to be moved, takeover.max_subnets is {}", moves.len(), settings.max_subnets);
            holds.push(hold(Gate::TooMany, why, "raise takeover.max_subnets or name the subnets in takeover.subnets"));
        }
    }

    let mut disable_check = None;
    if let (Some(identity), Some((_, standby))) = (identity, tables) {
        match carries(situation, identity, standby, settings) {
            Ok(interface) => disable_check = interface,
            Err(found) => holds.extend(found),
        }
    }

    match identity {
        Some(identity) if holds.is_empty() => Ok(Plan { standby: identity.clone(), disable_check, moves }),
        _ => Err(holds),
    }
}

fn hold(gate: Gate, why: impl Into<String>, remedy: impl Into<String>) -> Hold {
    Hold { gate, why: why.into(), remedy: remedy.into() }
}

fn locked(lock: Lock<'_>) -> Option<Hold> {
    match lock {
        // A takeover that is not complete is gone on with, on evidence as fresh as for a first one.
        Lock::Free | Lock::Held(Phase::Taking | Phase::Partial) => None,
        Lock::Held(Phase::Taken) => Some(hold(
            Gate::Locked,
            "an earlier takeover is on record and nothing is moved twice",
            "repair the primary, bring the subnets back, then: natwatch reset",
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
fn seconds_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn tables<'a>(survey: &'a Survey, settings: &DecideSettings) -> Result<(&'a RouteTable, &'a RouteTable), Vec<Hold>> {
    if let Err(why) = &survey.tables {
        return Err(vec![hold(Gate::Unfit, format!("EC2 can't be asked about the route tables: {why}"), "")]);
    }
    let mut holds = Vec::new();
    let mut find = |key: &str, id| {
        let found = survey.table(id);
        if found.is_none() {
            holds.push(hold(
                Gate::Foreign,
                format!("{key} = {id} does not exist in this region and account"),
                format!("aws ec2 describe-route-tables --route-table-ids {id}; correct {key} or standby.region"),
            ));
        }
        found
    };
    let primary = find("primary.route_table", &settings.primary_table);
    let standby = find("standby.route_table", &settings.standby_table);
    let (Some(primary), Some(standby)) = (primary, standby) else { return Err(holds) };
    if primary.vpc != standby.vpc {
        let why = format!("{} is in {}, {} in {}", primary.id, primary.vpc, standby.id, standby.vpc);
        return Err(vec![hold(Gate::Foreign, why, "name two tables of one VPC")]);
    }
    Ok((primary, standby))
}

/// What this machine itself lacks to carry the traffic.
fn machine(survey: &Survey) -> Vec<Hold> {
    let mut holds = Vec::new();
    match &survey.ip_forward {
        Ok(true) => {}
        Ok(false) => holds.push(hold(
            Gate::Unfit,
            "this instance does not forward: net.ipv4.ip_forward is 0",
            "sysctl -w net.ipv4.ip_forward=1",
        )),
        Err(why) => holds.push(hold(Gate::Unfit, format!("net.ipv4.ip_forward can't be read: {why}"), "")),
    }
    if survey.masquerade == Masquerade::Absent {
        holds.push(hold(
            Gate::Unfit,
            "this instance does not masquerade: no such rule in nftables or iptables",
            "iptables -t nat -A POSTROUTING -o <uplink> -j MASQUERADE",
        ));
    }
    holds
}

/// The moves: every guarded subnet that is on the primary's table.
fn subnets(
    primary: &RouteTable,
    standby: &RouteTable,
    guarded: Option<&GuardedSet>,
    settings: &DecideSettings,
) -> Result<Vec<PlannedMove>, Vec<Hold>> {
    let on = |table: &RouteTable, subnet: &SubnetId| {
        table.associations.iter().any(|one| one.subnet.as_ref() == Some(subnet))
    };
    let known: &[Guarded] = guarded.filter(|set| set.primary == primary.id).map_or(&[], |set| &set.subnets);
    let mut holds = Vec::new();
    for subnet in settings.subnets.iter().filter(|subnet| !on(primary, subnet) && !on(standby, subnet)) {
        holds.push(hold(
            Gate::Foreign,
            format!("{subnet} of takeover.subnets has no explicit association with {} or {}", primary.id, standby.id),
            format!("aws ec2 associate-route-table --subnet-id {subnet} --route-table-id {}", primary.id),
        ));
    }
    let moves: Vec<PlannedMove> = primary
        .associations
        .iter()
        .filter_map(|one| one.subnet.as_ref().map(|subnet| (one, subnet)))
        .filter(|(_, subnet)| settings.subnets.is_empty() || settings.subnets.contains(subnet))
        .map(|(one, subnet)| PlannedMove {
            subnet: subnet.clone(),
            name: known.iter().find(|guarded| &guarded.subnet == subnet).and_then(|guarded| guarded.name.clone()),
            association: one.id.clone(),
            from: primary.id.clone(),
            to: standby.id.clone(),
        })
        .collect();
    if moves.is_empty() && holds.is_empty() {
        if known.is_empty() && settings.subnets.is_empty() {
            holds.push(hold(
                Gate::Foreign,
                format!(
                    "no subnet is explicitly associated with primary.route_table = {}: nothing is guarded",
                    primary.id
                ),
                format!("aws ec2 associate-route-table --subnet-id <private subnet> --route-table-id {}", primary.id),
            ));
        } else {
            let carriers =
                if on_any(standby) { format!("{} has them", standby.id) } else { "other tables have them".to_owned() };
            holds.push(hold(Gate::AlreadyActive, format!("no guarded subnet is on {}; {carriers}", primary.id), ""));
        }
    }
    if holds.is_empty() { Ok(moves) } else { Err(holds) }
}

fn on_any(table: &RouteTable) -> bool {
    table.associations.iter().any(|one| one.subnet.is_some())
}

/// Whether the standby's table leads to this instance, over an interface that lets foreign packets pass.
///
/// Returns the interface whose source/destination check the plan has to switch off, where there is one.
fn carries(
    situation: Situation<'_>,
    identity: &InstanceId,
    table: &RouteTable,
    settings: &DecideSettings,
) -> Result<Option<InterfaceId>, Vec<Hold>> {
    let instance = match &situation.survey.standby {
        Ok(Some(instance)) => instance,
        Ok(None) => {
            return Err(vec![hold(
                Gate::Foreign,
                format!("this instance, {identity}, is not known to EC2 in this region"),
                "correct standby.instance or standby.region",
            )]);
        }
        Err(why) => return Err(vec![hold(Gate::Unfit, format!("EC2 can't be asked about this instance: {why}"), "")]),
    };
    let mut holds = Vec::new();
    let mut uplink = None;
    for family in situation.families {
        match leads_here(table, instance, *family) {
            Ok(interface) => uplink = uplink.or(interface),
            Err(found) => holds.push(found),
        }
    }
    let checked = uplink.filter(|interface| interface.source_dest_check);
    if let Some(interface) = checked.filter(|_| !settings.disable_source_dest_check) {
        holds.push(hold(
            Gate::Unfit,
            format!(
                "EC2 drops foreign packets at this instance: the source/destination check of {} is on",
                interface.id
            ),
            format!(
                "aws ec2 modify-network-interface-attribute --network-interface-id {} --no-source-dest-check",
                interface.id
            ),
        ));
    }
    if holds.is_empty() { Ok(checked.map(|interface| interface.id.clone())) } else { Err(holds) }
}

/// The interface of `instance` that the default route of `table` leads to.
fn leads_here<'a>(table: &RouteTable, instance: &'a Instance, family: Family) -> Result<Option<&'a Interface>, Hold> {
    let destination = family.default_route();
    let remedy = format!(
        "aws ec2 replace-route --route-table-id {} --destination-cidr-block {destination} --instance-id {}",
        table.id, instance.id
    );
    let unfit = |why: String| Err(hold(Gate::Unfit, why, remedy.clone()));
    let Some(route) = table.route(destination) else {
        return unfit(format!("{} has no route for {destination}", table.id));
    };
    let by_interface = instance.interfaces.iter().find(|one| route.interface.as_ref() == Some(&one.id));
    let by_instance = route.instance.as_ref() == Some(&instance.id);
    if by_interface.is_none() && !by_instance {
        return unfit(format!(
            "{} sends {destination} to {}, not to this instance ({})",
            table.id,
            route.target(),
            instance.id
        ));
    }
    if route.blackhole {
        return unfit(format!("the route of {} for {destination} is a blackhole", table.id));
    }
    Ok(by_interface.or_else(|| instance.interfaces.iter().find(|one| one.device_index == 0)))
}
