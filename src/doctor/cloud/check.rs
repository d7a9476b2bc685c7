//! The source/destination check: while it is on, EC2 drops whatever is neither from nor for the interface itself, which is all that a NAT
//! carries ("NAT instances" in the Amazon VPC user guide).

use super::{Facts, Subject, fit, permissions, unfit};
use crate::decide::leads_here;
use crate::model::{Family, Finding, Interface, Topic};
use crate::preflight::families;

const TOPIC: Topic = Topic::Forwarding;
const ID: &str = "source-dest-check";

/// Of each interface that the standby's table names; nothing where it names none, which is said elsewhere.
pub(super) fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let Some((instance, (primary, table))) = facts.standby(subject).zip(facts.pair(subject)) else { return Vec::new() };
    let rules = &subject.settings.decide;
    let mut wanted = families(&subject.settings.preflight, std::slice::from_ref(primary));
    wanted.extend(rules.method.destinations().iter().map(|one| Family::of(one.addr())));
    if wanted.is_empty() {
        wanted.push(Family::V4);
    }
    let mut named: Vec<&Interface> = Vec::new();
    for interface in wanted.iter().filter_map(|family| leads_here(table, instance, *family).ok().flatten()) {
        if !named.contains(&interface) {
            named.push(interface);
        }
    }
    // A takeover switches one off; a second one is the operator's to mend.
    let mut ours = usize::from(rules.disable_source_dest_check);
    let denied = permissions::denied(facts, "ModifyNetworkInterfaceAttribute");
    let mut judge = |interface: &Interface| {
        let id = &interface.id;
        let command =
            format!("aws ec2 modify-network-interface-attribute --network-interface-id {id} --no-source-dest-check");
        if !interface.source_dest_check {
            return fit(TOPIC, ID, format!("the source/destination check of {id} is off"));
        }
        if ours > 0 && !denied {
            ours -= 1;
            return fit(
                TOPIC,
                ID,
                format!("the source/destination check of {id} is on; a takeover switches it off first"),
            );
        }
        let bad = |cause, why: &str| {
            let text = format!("the source/destination check of {id} is on{why}; EC2 would drop what it is to carry");
            unfit(TOPIC, ID, text).cause(cause).remedy(command)
        };
        if ours > 0 {
            bad("check-not-ours", ": a takeover would switch it off, and is not allowed to")
        } else if rules.disable_source_dest_check {
            bad("second-check", ": a takeover switches off one, and there are two")
        } else {
            bad("check-left-on", ", and takeover.disable_source_dest_check is false")
        }
    };
    named.into_iter().map(|interface| judge(interface).of(&interface.id)).collect()
}
