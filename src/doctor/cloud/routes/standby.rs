//! Whether the standby's table leads to this instance.

use std::collections::BTreeSet;

use super::super::{Facts, Subject, fit, unfit, unknown, warning};
use super::{TOPIC, called};
use crate::decide::leads_here;
use crate::model::{Family, Finding, Hold, RouteTable};

const ID: &str = "standby-route";

/// The standby's table leads here, for each family that is guarded. The gate holds for those that are judged or moved as a route, and for none that
/// the primary carries besides.
pub(super) fn routes(facts: &Facts, subject: Subject<'_>, table: &RouteTable, guarded: &[Family]) -> Vec<Finding> {
    let Some(instance) = facts.standby(subject) else {
        return vec![
            unknown(TOPIC, ID, format!("whether {} leads here is not known, as this instance is not", table.id))
                .cause("standby-route-not-told")
                .remedy(format!("aws ec2 describe-route-tables --route-table-ids {}", table.id)),
        ];
    };
    let settings = subject.settings;
    let routes = settings.decide.method.destinations().iter().map(|one| Family::of(one.addr()));
    let required: BTreeSet<Family> = settings.observe.families().into_iter().chain(routes).collect();
    let judge = |family: &Family| match leads_here(table, instance, *family) {
        Ok(interface) => {
            let by = interface.map(|one| format!(", {}", one.id)).unwrap_or_default();
            let text = format!("{} sends {} to this instance{by}", called(table), family.default_route());
            fit(TOPIC, ID, text).of(family)
        }
        Err(hold) if required.contains(family) => {
            unfit(TOPIC, ID, hold.why).cause("leads-elsewhere").of(family).remedy(hold.remedy)
        }
        Err(hold) => beside(table, *family, hold),
    };
    // A table without any default route to an instance guards nothing, which is said elsewhere; the standby's own is looked at all the same.
    if guarded.is_empty() { vec![judge(&Family::V4)] } else { guarded.iter().map(judge).collect() }
}

/// A family that no target is of: a takeover goes ahead without it, and it may have another way out.
fn beside(table: &RouteTable, family: Family, hold: Hold) -> Finding {
    let way = table.route(family.default_route()).filter(|route| !route.blackhole);
    if let Some(gateway) = way.and_then(|route| route.other.as_ref()) {
        let text = format!("{} sends {} to {gateway}, and not to this instance", called(table), family.default_route());
        return fit(TOPIC, ID, text).of(family);
    }
    let text = format!("{}: whoever is moved loses {family}, which holds no takeover, as no target is of it", hold.why);
    warning(TOPIC, ID, text).cause("carries-less").of(family).remedy(hold.remedy)
}
