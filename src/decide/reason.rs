//! Why a pass came to what it came to: one text for each reason, whoever tells it.
//!
//! The reasons of a single round are `judge`'s, those of gates `gates`'; here they become the sentence of the whole pass. None
//! ends in a full stop, since more may follow.

use crate::model::{
    Change, Family, Gate, Hold, Judgement, LastSteps, Move, MoveResult, Outcome, Verdict, Verification,
};

/// No round was made.
pub(super) const NOTHING_OBSERVED: &str = "nothing was observed";

/// A takeover without evidence.
pub(super) const ASKED_FOR: &str = "an operator asked for it";

/// Why a round is what it is. With several families it is said which one is meant.
pub(super) fn round(judgement: &Judgement, several: bool) -> String {
    // An isolated standby names the family itself.
    if several && judgement.verdict != Verdict::Isolated {
        format!("over {}, {}", judgement.family, judgement.because)
    } else {
        judgement.because.clone()
    }
}

/// What is carried along: a subnet's IPv4 and IPv6 have one route table, and all destinations are moved together.
pub(super) fn also_moved(latest: &[Judgement], moves: &[Move]) -> String {
    let routes: Vec<Family> = moves
        .iter()
        .filter_map(|one| match &one.plan {
            Change::Route(route) => Some(Family::of(route.destination.addr())),
            Change::Association(_) => None,
        })
        .collect();
    let others =
        latest.iter().filter(|one| one.verdict != Verdict::Down && (routes.is_empty() || routes.contains(&one.family)));
    let told = others.map(|one| {
        let how = match one.verdict {
            Verdict::Isolated => "which this standby does not reach",
            _ => "which was not down",
        };
        if routes.is_empty() {
            format!("; an association moves {} too, {how}", one.family)
        } else {
            format!("; takeover.destinations moves {} too, {how}", one.family)
        }
    });
    told.collect()
}

/// Down, and held. `round` is the reason of the last round.
pub(super) fn held(round: &str, holds: &[Hold]) -> String {
    let first = holds.first().map_or("", |hold| hold.why.as_str());
    format!("{round}, and nothing is moved: {first}")
}

/// The evidence is enough, but nobody has asked EC2 what there is to be moved.
pub(super) fn unasked() -> Hold {
    Hold { gate: Gate::Unfit, why: "EC2 was not asked".to_owned(), remedy: String::new() }
}

/// It was not known, when backends were asked, which of the subnets they are in.
pub(super) fn places_unknown() -> Hold {
    Hold {
        gate: Gate::Foreign,
        why: "which subnets the backends are in was not known when they were asked".to_owned(),
        remedy: "none; it was asked of EC2 meanwhile, and the next run judges by that".to_owned(),
    }
}

/// The evidence is of backends that have left the primary.
pub(super) fn not_behind_the_primary() -> Hold {
    Hold {
        gate: Gate::Foreign,
        why: "some who are cut off are not behind the primary any more by EC2's route tables, and without them the evidence is not enough".to_owned(),
        remedy: "none; where each subnet is was read anew, and the next run judges by that".to_owned(),
    }
}

/// No default route among `takeover.destinations` is of the family that is down.
pub(super) fn not_a_destination(family: Family) -> Hold {
    let destination = family.default_route();
    Hold {
        gate: Gate::Foreign,
        why: format!(
            "{family} is down, and {destination} is not in takeover.destinations: what would be moved is not what is down"
        ),
        remedy: format!("add \"{destination}\" to takeover.destinations"),
    }
}

/// What came of the moves. `round` is the reason of the last round.
pub(super) fn moved(outcome: Outcome, moves: &[Move], last: &LastSteps, round: &str) -> String {
    let of = |wanted: fn(&Move) -> bool| moves.iter().filter(|one| wanted(one)).count();
    let total = moves.len();
    let done = of(|one| one.result.settled());
    let routes = moves.iter().any(|one| matches!(one.plan, Change::Route(_)));
    let (what, lead) = if routes { ("routes", "lead to") } else { ("subnets", "are on") };
    match outcome {
        Outcome::WouldTakeOver => format!("{round}; {total} {what} would be moved to this standby"),
        // A virtual address proves nothing by itself.
        Outcome::TakenOver if routes && moves.iter().all(|one| one.verification == Verification::Unwitnessed) => {
            format!(
                "{round}; all {total} {what} {lead} this standby, and no ping can tell whether traffic flows by them"
            )
        }
        Outcome::TakenOver => format!("{round}; all {total} {what} {lead} this standby and traffic flows"),
        Outcome::NoRedundancy => {
            format!("{round}; somebody else had moved all {total} {what} meanwhile, and traffic flows")
        }
        Outcome::Partial if done == total => {
            let address = last.address.as_ref().map_or_else(String::new, |step| step.plan.address.to_string());
            format!("{round}; all {total} {what} {lead} this standby, but {address} did not come along")
        }
        Outcome::Unverified => {
            let unverified = of(|one| match one.verification {
                Verification::Unverified => true,
                Verification::Pending => one.result.moved(),
                Verification::Verified | Verification::Unwitnessed => false,
            });
            format!("{round}; all {total} {what} are moved, but {unverified} were not seen to reach anything since")
        }
        Outcome::Partial => {
            let unknown = of(|one| matches!(one.result, MoveResult::Unknown(_)));
            let in_doubt = match unknown {
                0 => String::new(),
                _ => format!(", and of {unknown} nobody knows, as EC2's answers were lost"),
            };
            format!("{round}; {done} of {total} {what} are moved{in_doubt}")
        }
        _ => format!("{round}; none of {total} {what} could be moved"),
    }
}

/// `down`, and the deadline came before it was enough.
pub(super) fn out_of_time(round: &str) -> String {
    format!("{round}, but the deadline came before there was enough evidence")
}

/// Not down. `round` is the reason of the last round.
pub(super) fn rested(outcome: Outcome, round: &str) -> String {
    match outcome {
        Outcome::Partial => {
            format!("a takeover is not complete, and there is no evidence to go on with it: {round}")
        }
        Outcome::Locked => format!("an earlier takeover carries the subnets; {round}"),
        Outcome::NoRedundancy => format!(
            "traffic flows ({round}), but nothing stands by: no guarded subnet is where this standby would take it from"
        ),
        _ => round.to_owned(),
    }
}

/// Not down, and some subnets are back on the primary while others are not. `round` is the reason of the last round.
pub(super) fn half_back(round: &str) -> String {
    format!(
        "a failback is not complete, and the standby carries the other subnets: natwatch failback goes on with it; {round}"
    )
}

/// Not down, and what a failback or drill left on the standby when it was cut short was never seen to reach from there.
pub(super) fn unseen(change: Option<&Change>, round: &str) -> String {
    let what = change.map_or_else(String::new, ToString::to_string);
    format!(
        "{what} was left on the standby by a failback or drill that was cut short, and nobody has seen it reach anything from there: \
         natwatch failback brings it back; {round}"
    )
}

/// Healthy, but a takeover would be held.
pub(super) fn unfit(round: &str, hold: &Hold) -> String {
    format!("traffic flows ({round}), but this standby could not take over: {}", hold.why)
}

/// Healthy, but nothing can be remembered.
pub(super) fn forgets(round: &str, why: &str) -> String {
    format!("{round}; but nothing can be remembered, so this standby can't be relied on ({why})")
}
