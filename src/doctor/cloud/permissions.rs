//! What this configuration needs of EC2, and whether the credentials allow it.
//!
//! Only what is needed is asked about, with the very arguments that a takeover would have as far as they are known: a policy may be limited to
//! them. Actions that the policy of `natwatch print iam-policy` grants besides are left alone.

use super::{Answer, Facts, Right, Subject, fit, unfit, unknown, warning};
use crate::decide::leads_here;
use crate::model::{Association, AssociationId, Family, Finding, Fitness, InterfaceId, RouteTable, Topic, Way};

const TOPIC: Topic = Topic::Permissions;

/// Why nothing could be asked with the interface.
const NOWHERE: &str = "the interface of this instance is not known";

/// The rights that this configuration needs; and the actions among them that nothing is known to be asked about with, with why.
pub(super) fn wanted(facts: &Facts, subject: Subject<'_>) -> (Vec<Right>, Vec<(&'static str, String)>) {
    let rules = &subject.settings.decide;
    let mut rights = vec![
        Right::DescribeRouteTables,
        Right::DescribeInstances,
        Right::DescribeSubnets,
        Right::DescribeNetworkInterfaces,
        Right::DescribeSecurityGroups,
        Right::DescribeNetworkAcls,
    ];
    let mut unasked = Vec::new();
    let mut want = |right: Option<Right>, action: &'static str, lacks: &str| match right {
        Some(right) => rights.push(right),
        None => unasked.push((action, lacks.to_owned())),
    };
    if rules.method.is_association() {
        let association = association(facts, subject);
        let right = association.map(|one| Right::Associate(one, rules.standby_table.clone()));
        want(right, "ReplaceRouteTableAssociation", "no guarded subnet is known");
    }
    let here = interface(facts, subject).map(|id| Way { interface: Some(id), instance: None });
    for destination in rules.method.destinations().iter().take(1) {
        let table = || rules.primary_table.clone();
        let replace = here.clone().map(|way| Right::ReplaceRoute(table(), *destination, way));
        want(replace, "ReplaceRoute", NOWHERE);
        let create = here.clone().map(|way| Right::CreateRoute(table(), *destination, way));
        want(create, "CreateRoute", NOWHERE);
        want(Some(Right::DeleteRoute(table(), *destination)), "DeleteRoute", NOWHERE);
    }
    if rules.disable_source_dest_check {
        want(interface(facts, subject).map(Right::DisableCheck), "ModifyNetworkInterfaceAttribute", NOWHERE);
    }
    if let Some(address) = &rules.elastic_ip {
        want(Some(Right::DescribeAddresses), "DescribeAddresses", NOWHERE);
        want(here.map(|way| Right::AssociateAddress(address.clone(), way)), "AssociateAddress", NOWHERE);
        let held = facts.address.as_ref().and_then(|held| held.as_ref().ok()?.as_ref());
        want(
            held.map(|held| Right::DisassociateAddress(held.association.clone())),
            "DisassociateAddress",
            "nobody has the address",
        );
    }
    if let Some(primary) = rules.primary_instance.as_ref().filter(|_| rules.reboot_primary) {
        want(Some(Right::Reboot(primary.clone())), "RebootInstances", NOWHERE);
    }
    (rights, unasked)
}

/// The association of the first guarded subnet that is at home; else of one that is here already.
fn association(facts: &Facts, subject: Subject<'_>) -> Option<AssociationId> {
    let (primary, standby) = facts.pair(subject)?;
    let listed = &subject.settings.decide.subnets;
    let guarded =
        |one: &&Association| one.subnet.as_ref().is_some_and(|subnet| listed.is_empty() || listed.contains(subnet));
    let of = |table: &RouteTable| table.associations.iter().find(guarded).map(|one| one.id.clone());
    of(primary).or_else(|| of(standby))
}

/// The interface that the standby's route names; else this instance's first one.
fn interface(facts: &Facts, subject: Subject<'_>) -> Option<InterfaceId> {
    let instance = facts.standby(subject)?;
    let led = facts.pair(subject).and_then(|(_, standby)| leads_here(standby, instance, Family::V4).ok().flatten());
    led.or_else(|| instance.interfaces.iter().min_by_key(|one| one.device_index)).map(|one| one.id.clone())
}

/// What a right is needed for, and what it means that it is not there.
fn purpose(right: &Right, facts: &Facts, subject: Subject<'_>) -> (Fitness, &'static str) {
    match right {
        Right::DescribeRouteTables | Right::DescribeInstances | Right::DescribeSubnets => {
            (Fitness::Unfit, "nothing is known of tables, subnets and instances, and nothing is moved")
        }
        Right::DescribeNetworkAcls | Right::DescribeNetworkInterfaces | Right::DescribeSecurityGroups => {
            (Fitness::Warning, "nobody sees whether groups and ACLs let the traffic pass")
        }
        Right::Associate(..) | Right::ReplaceRoute(..) => (Fitness::Unfit, "nothing is moved"),
        Right::CreateRoute(..) => (Fitness::Unfit, "a route that is missing is not made"),
        Right::DeleteRoute(..) => (Fitness::Warning, "failback does not remove a route that a takeover had to make"),
        Right::DisableCheck(_) if checked(facts, subject) => {
            (Fitness::Unfit, "the source/destination check, which is on, is not switched off, and nothing is moved")
        }
        Right::DisableCheck(_) => {
            (Fitness::Warning, "the source/destination check, which is off, could not be switched off again")
        }
        Right::DescribeAddresses | Right::AssociateAddress(..) => (Fitness::Unfit, "the address does not come along"),
        Right::DisassociateAddress(_) => {
            (Fitness::Warning, "an address that nobody had before can't be given up by failback")
        }
        Right::Reboot(_) => (Fitness::Warning, "the primary is not rebooted after a takeover"),
    }
}

/// Whether the check that a takeover would have to switch off is on.
fn checked(facts: &Facts, subject: Subject<'_>) -> bool {
    let id = interface(facts, subject);
    let interfaces = facts.standby(subject).map_or(&[][..], |instance| &instance.interfaces);
    interfaces.iter().any(|one| Some(&one.id) == id.as_ref() && one.source_dest_check)
}

const POLICY: &str = "natwatch print iam-policy > policy.json; aws iam put-role-policy --role-name <this instance's role> --policy-name \
                      natwatch --policy-document file://policy.json";

pub(super) fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let said = |wanted: fn(&Answer) -> Option<&String>| facts.answers.iter().find_map(|(_, answer)| wanted(answer));
    let unsigned = said(|answer| if let Answer::Unsigned(why) = answer { Some(why) } else { None });
    if let Some(why) = unsigned {
        return vec![unfit(TOPIC, "credentials", why.clone())];
    }
    let told = |(_, answer): &&(Right, Answer)| matches!(answer, Answer::Allowed | Answer::Denied);
    if !facts.answers.iter().any(|one| told(&one)) {
        let why = said(|answer| if let Answer::Unclear(why) = answer { Some(why) } else { None });
        let why = why.map_or("", String::as_str);
        return vec![unknown(TOPIC, "credentials", format!("what the credentials allow is not known: {why}"))];
    }
    let mut found = vec![fit(TOPIC, "credentials", "AWS accepts the credentials")];
    let allowed: Vec<&str> = facts
        .answers
        .iter()
        .filter(|(_, answer)| *answer == Answer::Allowed)
        .map(|(right, _)| right.action())
        .collect();
    if !allowed.is_empty() {
        found.push(fit(TOPIC, "allowed", format!("allowed, by DryRun: {}", allowed.join(", "))));
    }
    for (right, answer) in &facts.answers {
        let action = right.action();
        match answer {
            Answer::Denied => {
                let (fitness, without) = purpose(right, facts, subject);
                let text = format!("ec2:{action} is not allowed: {without}");
                found.push(Finding::new(TOPIC, "action", fitness, text).of(action).remedy(POLICY));
            }
            Answer::Unclear(why) => {
                found.push(
                    unknown(TOPIC, "action", format!("whether ec2:{action} is allowed is not known: {why}")).of(action),
                );
            }
            Answer::Allowed | Answer::Unsigned(_) => {}
        }
    }
    for (action, why) in &facts.unasked {
        found.push(warning(TOPIC, "action", format!("ec2:{action} could not be asked about: {why}")).of(action));
    }
    found
}

/// Whether IAM refuses this action.
pub(super) fn denied(facts: &Facts, action: &str) -> bool {
    facts.answers.iter().any(|(right, answer)| right.action() == action && *answer == Answer::Denied)
}
