//! What this configuration needs of EC2, and whether the credentials allow it.
//!
//! Only what is needed is asked about, with the very arguments that a takeover would have as far as they are known: a policy may be limited to
//! them. Actions that the policy of `natwatch print iam-policy` grants besides are left alone.

use super::{Answer, Facts, Right, Subject, fit, unfit, unknown, warning};
use crate::decide::leads_here;
use crate::model::{Association, Family, Finding, Fitness, InterfaceId, RouteTableId, SubnetId, Topic, Way};

const TOPIC: Topic = Topic::Permissions;

/// How many guarded subnets are asked about, each way: a policy may be narrowed to some of them. EC2's bucket for changes has 50 tokens
/// ("Request throttling for the Amazon EC2 API"), and nothing there says that dry runs are free: a takeover of as many subnets that begins just
/// now must find what it takes.
pub(super) const ASKED: usize = 16;

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
    if rules.method.is_association() {
        let guarded = associations(facts, subject);
        let to = |one: &Association, table: &RouteTableId| Right::Associate(one.id.clone(), table.clone());
        rights.extend(guarded.iter().take(ASKED).map(|one| to(one, &rules.standby_table)));
        // The way back has another table, and the same subnets: a policy may be narrowed to some of them there, too.
        rights.extend(guarded.iter().take(ASKED).map(|one| to(one, &rules.primary_table)));
        if guarded.is_empty() {
            unasked.push(("ReplaceRouteTableAssociation", "no guarded subnet is known".to_owned()));
        }
    }
    let mut want = |right: Option<Right>, action: &'static str, lacks: &str| match right {
        Some(right) => rights.push(right),
        None => unasked.push((action, lacks.to_owned())),
    };
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

/// The associations of the guarded subnets: of those that are at home, then of those that are here already.
fn associations<'a>(facts: &'a Facts, subject: Subject<'_>) -> Vec<&'a Association> {
    let listed = &subject.settings.decide.subnets;
    let guarded =
        |one: &&Association| one.subnet.as_ref().is_some_and(|subnet| listed.is_empty() || listed.contains(subnet));
    let pair = facts.pair(subject).into_iter().flat_map(|(primary, standby)| [primary, standby]);
    pair.flat_map(|table| &table.associations).filter(guarded).collect()
}

/// The subnet that a right to move is about, where others may be moved: refused are not all of those that were asked about.
fn one_of_several<'a>(right: &Right, facts: &'a Facts, subject: Subject<'_>) -> Option<(&'a SubnetId, &'static str)> {
    let Right::Associate(id, table) = right else { return None };
    let alike = |one: &&(Right, Answer)| matches!(&one.0, Right::Associate(_, to) if to == table);
    let some = facts.answers.iter().filter(alike).any(|(_, answer)| *answer != Answer::Denied);
    let association = associations(facts, subject).into_iter().find(|one| one.id == *id);
    let back = *table == subject.settings.decide.primary_table;
    let without = if back { "failback can't move it back" } else { "it is not moved" };
    Some((association.filter(|_| some)?.subnet.as_ref()?, without))
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
        Right::Associate(_, table) if *table == subject.settings.decide.primary_table => {
            (Fitness::Warning, "failback can't move subnets back to the primary's table")
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

/// Who the credentials are of.
const WHO: &str = "aws sts get-caller-identity";

/// Whether the check that a takeover would have to switch off is on.
fn checked(facts: &Facts, subject: Subject<'_>) -> bool {
    let id = interface(facts, subject);
    let interfaces = facts.standby(subject).map_or(&[][..], |instance| &instance.interfaces);
    interfaces.iter().any(|one| Some(&one.id) == id.as_ref() && one.source_dest_check)
}

/// `ROLE` is that of this instance, which only its profile would tell.
const POLICY: &str = "natwatch print iam-policy > policy.json; aws iam put-role-policy --role-name ROLE --policy-name \
                      natwatch --policy-document file://policy.json";

pub(super) fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let said = |wanted: fn(&Answer) -> Option<&String>| facts.answers.iter().find_map(|(_, answer)| wanted(answer));
    let unsigned = said(|answer| if let Answer::Unsigned(why) = answer { Some(why) } else { None });
    if let Some(why) = unsigned {
        return vec![unfit(TOPIC, "credentials", why.clone()).cause("unsigned").remedy(WHO)];
    }
    let told = |(_, answer): &&(Right, Answer)| matches!(answer, Answer::Allowed | Answer::Denied);
    if !facts.answers.iter().any(|one| told(&one)) {
        let why = said(|answer| if let Answer::Unclear(why) = answer { Some(why) } else { None });
        let why = why.map_or("", String::as_str);
        let text = format!("what the credentials allow is not known: {why}");
        return vec![unknown(TOPIC, "credentials", text).cause("rights-not-told").remedy(WHO)];
    }
    let mut found = vec![fit(TOPIC, "credentials", "AWS accepts the credentials")];
    // Of what is asked several times only what is allowed each time is said to be.
    let mut actions: Vec<&str> = facts.answers.iter().map(|(right, _)| right.action()).collect();
    actions.dedup();
    let each = |action: &&str| {
        facts.answers.iter().all(|(right, answer)| right.action() != *action || *answer == Answer::Allowed)
    };
    let allowed: Vec<&str> = actions.into_iter().filter(each).collect();
    if !allowed.is_empty() {
        let guarded = associations(facts, subject).len();
        let moves = subject.settings.decide.method.is_association() && guarded > ASKED;
        let part =
            moves.then(|| format!("ReplaceRouteTableAssociation: asked for {ASKED} of {guarded} subnets, each way"));
        let text = format!("allowed, by DryRun: {}", allowed.join(", "));
        found.push(fit(TOPIC, "allowed", text).details(part.into_iter().collect()));
    }
    for (right, answer) in &facts.answers {
        let action = right.action();
        match answer {
            Answer::Denied => {
                let (fitness, without) = purpose(right, facts, subject);
                let finding = if let Some((subnet, without)) = one_of_several(right, facts, subject) {
                    let text = format!("ec2:{action} is not allowed for {}: {without}", facts.called(subnet));
                    Finding::new(TOPIC, "action", fitness, text).cause("denied-for-some").of(subnet)
                } else {
                    let text = format!("ec2:{action} is not allowed: {without}");
                    Finding::new(TOPIC, "action", fitness, text).cause("denied").of(action)
                };
                let finding = finding.remedy(POLICY);
                if !found.contains(&finding) {
                    found.push(finding);
                }
            }
            Answer::Unclear(why) => {
                let text = format!("whether ec2:{action} is allowed is not known: {why}");
                let finding = unknown(TOPIC, "action", text).cause("unclear").of(action).remedy("natwatch doctor");
                if !found.contains(&finding) {
                    found.push(finding);
                }
            }
            Answer::Allowed | Answer::Unsigned(_) => {}
        }
    }
    for (action, why) in &facts.unasked {
        let text = format!("ec2:{action} could not be asked about: {why}");
        found.push(warning(TOPIC, "action", text).cause("not-asked").of(action).remedy("natwatch print iam-policy"));
    }
    found
}

/// Whether IAM refuses this action.
pub(super) fn denied(facts: &Facts, action: &str) -> bool {
    facts.answers.iter().any(|(right, answer)| right.action() == action && *answer == Answer::Denied)
}
