//! The commands that finish or undo a takeover without natwatch.
//!
//! Plain AWS CLI, safe to paste into a POSIX shell: ids are `[a-z0-9-]` by their types, destinations are CIDRs. It runs nothing.

use super::DecideSettings;
use super::gates::option_of;
use crate::model::{
    AddressStep, AssociationId, Change, Cidr, Family, GuardedSet, Holder, LastSteps, Method, Move, MoveResult,
    PlannedRoute, RebootResult, RouteTableId, SubnetId, Survey, Way,
};

/// Commands that put back what was moved, the address last, as it was moved last.
///
/// A moved subnet has a new association id that only EC2 knows for certain, so each command looks it up.
#[must_use]
pub fn undo_commands(moves: &[Move], last: &LastSteps) -> Vec<String> {
    let done = moves.iter().filter(|done| done.result.moved());
    let routing = done.map(|done| match &done.plan {
        Change::Association(plan) => looked_up(&plan.subnet, &plan.from),
        Change::Route(plan) => route(plan, plan.to.as_ref(), plan.from.as_ref()),
    });
    let address = last.address.iter().filter(|step| step.result.moved()).flat_map(|step| {
        let back =
            step.plan.from.as_ref().map_or_else(|| disassociate(step), |holder| associate(&step.plan.address, holder));
        // What had to give way comes back to where it was.
        let own = step.plan.displaced.as_ref().zip(step.plan.to.as_ref());
        std::iter::once(back).chain(own.map(|(own, holder)| associate(own, holder)))
    });
    routing.chain(address).collect()
}

/// Commands that move what was not moved.
///
/// For a subnet they carry the association id of the plan: where somebody has moved it meanwhile, EC2 refuses, as it should; of one
/// of which nobody knows where it is, the id is looked up. A route and an address have no such token: whoever pastes these should
/// look first.
#[must_use]
pub fn finish_commands(moves: &[Move], last: &LastSteps) -> Vec<String> {
    let open = moves.iter().filter(|done| !done.result.settled());
    let routing = open.map(|done| match &done.plan {
        Change::Association(plan) if matches!(done.result, MoveResult::Unknown(_)) => looked_up(&plan.subnet, &plan.to),
        Change::Association(plan) => association(&plan.association, &plan.to),
        Change::Route(plan) => route(plan, plan.from.as_ref(), plan.to.as_ref()),
    });
    let stays: Option<&AddressStep> = last.address.as_ref().filter(|step| !step.came_along());
    let address = stays.and_then(|step| step.plan.to.as_ref().map(|holder| associate(&step.plan.address, holder)));
    routing.chain(address).collect()
}

/// The command for a reboot that natwatch could not ask for.
#[must_use]
pub fn reboot_commands(last: &LastSteps) -> Vec<String> {
    let failed = last.reboot.iter().filter(|step| matches!(step.result, RebootResult::Failed(_)));
    failed.map(|step| format!("aws ec2 reboot-instances --instance-ids {}", step.instance)).collect()
}

/// Gives a subnet that table, whatever its association id is by now.
fn looked_up(subnet: &SubnetId, table: &RouteTableId) -> String {
    format!(
        "aws ec2 replace-route-table-association --route-table-id {table} --association-id \"$(aws ec2 describe-route-tables \
         --filters Name=association.subnet-id,Values={subnet} \
         --query \"RouteTables[0].Associations[?SubnetId=='{subnet}'] | [0].RouteTableAssociationId\" --output text)\""
    )
}

fn association(id: &AssociationId, table: &RouteTableId) -> String {
    format!("aws ec2 replace-route-table-association --association-id {id} --route-table-id {table}")
}

/// Makes a route that leads to `now` lead to `to`.
fn route(plan: &PlannedRoute, now: Option<&Way>, to: Option<&Way>) -> String {
    let (verb, target) = match (now, to) {
        (_, None) => ("delete-route", String::new()),
        (None, Some(to)) => ("create-route", format!(" {}", target(to))),
        (Some(_), Some(to)) => ("replace-route", format!(" {}", target(to))),
    };
    let (table, destination) = (&plan.table, &plan.destination);
    format!("aws ec2 {verb} --route-table-id {table} {} {destination}{target}", option_of(destination))
}

fn target(way: &Way) -> String {
    match (&way.interface, &way.instance) {
        (Some(interface), _) => format!("--network-interface-id {interface}"),
        (None, Some(instance)) => format!("--instance-id {instance}"),
        (None, None) => "--network-interface-id <an interface>".to_owned(),
    }
}

fn associate(address: &crate::model::AllocationId, to: &Holder) -> String {
    let private = to.private.map(|private| format!(" --private-ip-address {private}")).unwrap_or_default();
    format!("aws ec2 associate-address --allow-reassociation --allocation-id {address} {}{private}", target(&to.way))
}

fn disassociate(step: &AddressStep) -> String {
    format!(
        "aws ec2 disassociate-address --association-id \"$(aws ec2 describe-addresses --allocation-ids {} \
         --query 'Addresses[0].AssociationId' --output text)\"",
        step.plan.address
    )
}

/// Commands that move what a gate holds back.
#[must_use]
pub fn held_commands(survey: &Survey, guarded: Option<&GuardedSet>, settings: &DecideSettings) -> Vec<String> {
    if let Method::Route { destinations } = &settings.method {
        return destinations.iter().filter_map(|one| held_route(survey, one, settings)).collect();
    }
    let associations =
        survey.table(&settings.primary_table).map(|table| table.associations.as_slice()).unwrap_or_default();
    let listed = |subnet: &SubnetId| settings.subnets.is_empty() || settings.subnets.contains(subnet);
    let known: Vec<String> = associations
        .iter()
        .filter(|one| one.subnet.as_ref().is_some_and(listed))
        .map(|one| association(&one.id, &settings.standby_table))
        .collect();
    if !known.is_empty() || survey.tables.is_ok() {
        return known;
    }
    // EC2 could not be asked, so the ids are not known: how to find them, and what to do with each.
    let count = guarded.map_or_else(String::new, |set| format!(" # {} subnets", set.subnets.len()));
    vec![
        format!(
            "aws ec2 describe-route-tables --route-table-ids {} --query 'RouteTables[].Associations[].[RouteTableAssociationId,SubnetId]' --output text{count}",
            settings.primary_table
        ),
        format!(
            "aws ec2 replace-route-table-association --association-id <each of them> --route-table-id {}",
            settings.standby_table
        ),
    ]
}

/// One destination led to where the standby's own table leads; what is not known is left to be filled in.
fn held_route(survey: &Survey, destination: &Cidr, settings: &DecideSettings) -> Option<String> {
    let (primary, own) = (survey.table(&settings.primary_table), survey.table(&settings.standby_table));
    let default = own.and_then(|own| own.route(Family::of(destination.addr()).default_route()));
    let to = default.map_or(Way { interface: None, instance: None }, Way::from);
    let now = primary.and_then(|table| table.routes.iter().find(|route| route.is_for(destination)));
    if now.is_some_and(|now| to.same(&Way::from(now))) {
        return None;
    }
    // Where the table could not be read, the route is rather there than not.
    let verb = if primary.is_some() && now.is_none() { "create-route" } else { "replace-route" };
    let table = &settings.primary_table;
    Some(format!("aws ec2 {verb} --route-table-id {table} {} {destination} {}", option_of(destination), target(&to)))
}
