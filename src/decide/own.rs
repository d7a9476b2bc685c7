//! Whether the standby carries its own (`standby.witnesses`): of two NATs that guard each other, one that cannot carry its own subnets must
//! not take the other's, or they would swap them.

use super::Case;
use crate::model::{Family, Gate, Hold, OwnWitness, Said, Verdict, printable};

/// How much of a silence's detail is shown: it is one line of a mail.
const DETAIL_SHOWN: usize = 80;

/// Gate `unfit`, where nobody of the standby's own was answered in a family that the plan is to mend. Nothing where there are no such hosts.
pub(super) fn hold(case: &Case) -> Option<Hold> {
    let own = case.own.as_deref()?;
    let latest = case.latest();
    // Whoever asks for it needs no evidence, so it is to mend whatever there is.
    let down = || latest.iter().filter(|one| one.verdict == Verdict::Down || case.planned);
    let reaches = |family: Family| own.iter().any(|one| one.reaches(family));
    let dead = down().map(|one| one.family).find(|family| !reaches(*family))?;
    let said: Vec<String> = own.iter().map(told).collect();
    Some(Hold {
        gate: Gate::Unfit,
        why: format!(
            "none of standby.witnesses reaches a target over {dead} through this instance ({}), and who cannot carry his own takes \
             nobody else's",
            said.join("; ")
        ),
        remedy: "see why they are cut off; standby.witnesses names hosts behind standby.route_table".to_owned(),
    })
}

/// One line for who asks why nothing is held.
pub(super) fn free(own: &[OwnWitness]) -> String {
    let reach = own.iter().filter(|one| matches!(one.said, Said::Reaches(_))).count();
    format!("{reach} of its own {} witnesses reach", own.len())
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
