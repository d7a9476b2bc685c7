//! Whether the standby carries its own (`standby.witnesses`): of two NATs that guard each other, one that cannot carry its own subnets must
//! not take the other's, or they would swap them.
//!
//! Witnesses say something of this NAT only while it carries subnets of its own: once another NAT has taken those, they go by that one, and are
//! cut off with it. Whether this NAT was repaired meanwhile or is as dead as when it lost them nothing shows then, and dead ones would swap:
//! so it holds, and only an operator who asks for the takeover knows better.

use super::{Case, Lock};
use crate::model::{Family, Gate, Hold, OwnWitness, Said, Verdict, printable};

/// How much of a silence's detail is shown: it is one line of a mail.
const DETAIL_SHOWN: usize = 80;

/// Gate `unfit`, where none of the standby's own reaches in any family that the plan is to mend: who carries one of them mends that one, as
/// what is moved is dead in all of them. Nothing where there are no such hosts, or they go by somebody else and an operator asks.
pub(super) fn hold(case: &Case) -> Option<Hold> {
    let homeless = !carries_its_own(case);
    let own = case.own.as_deref().filter(|_| !(case.planned && homeless))?;
    let latest = case.latest();
    // Whoever asks for it needs no evidence, so it is to mend whatever there is.
    let down = latest.iter().filter(|one| one.verdict == Verdict::Down || case.planned);
    let dead: Vec<Family> = down.map(|one| one.family).collect();
    if dead.is_empty() || dead.iter().any(|family| own.iter().any(|one| one.reaches(*family))) {
        return None;
    }
    let over: Vec<String> = dead.iter().map(ToString::to_string).collect();
    let said: Vec<String> = own.iter().map(told).collect();
    Some(Hold {
        gate: Gate::Unfit,
        why: format!(
            "none of standby.witnesses reaches a target over {} through this instance ({}), and who cannot carry his own takes \
             nobody else's",
            over.join(" or "),
            said.join("; ")
        ),
        remedy: if homeless {
            "they go by another NAT by now; if this instance was repaired since: natwatch takeover".to_owned()
        } else {
            "see why they are cut off; standby.witnesses names hosts behind standby.route_table".to_owned()
        },
    })
}

/// One line for who asks why nothing is held.
pub(super) fn free(case: &Case, own: &[OwnWitness]) -> String {
    if !carries_its_own(case) {
        return "no subnet of its own is on its table, so that its own witnesses say nothing of it".to_owned();
    }
    let reach = own.iter().filter(|one| matches!(one.said, Said::Reaches(_))).count();
    format!("{reach} of its own {} witnesses reach", own.len())
}

/// Whether its table has subnets that it did not take: all but those of a takeover on record. (Not by the guarded ones: what came home from
/// the primary's table has been guarded as well.) A main table has whatever has none of its own. Where it is not known, they are asked.
fn carries_its_own(case: &Case) -> bool {
    let Some(table) = case.survey.as_ref().and_then(|survey| survey.table(&case.rules.standby_table)) else {
        return true;
    };
    let taken = |subnet| match &case.lock {
        Lock::Held { moves, .. } => moves.iter().any(|one| one.plan.carries(subnet)),
        Lock::Free | Lock::Unreadable(_) => false,
    };
    table.associations.iter().any(|one| one.main || one.subnet.as_ref().is_some_and(|subnet| !taken(subnet)))
}

fn told(one: &OwnWitness) -> String {
    let said = match &one.said {
        Said::Reaches(families) => {
            let families: Vec<String> = families.iter().map(ToString::to_string).collect();
            format!("reaches over {} only", families.join(" and "))
        }
        Said::Missed => "is cut off".to_owned(),
        Said::Silent(why) => format!("is silent, {}: {}", why.reason, printable(&why.detail, DETAIL_SHOWN)),
        Said::Awaited => "was not heard in time".to_owned(),
    };
    format!("{} {said}", printable(&one.host, DETAIL_SHOWN))
}
