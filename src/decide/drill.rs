//! Practice: which subnet goes to the standby and back, what keeps it from being begun, and what it came to.
//!
//! Nobody is cut off when it is asked for, so it is held by whatever holds a takeover, and by more: it begins in health only, with the
//! primary well enough to go back to, and with a subnet whose own backends can tell both ways.

use std::collections::BTreeMap;
use std::time::Duration;

use super::failback::canary;
use super::gates::{self, hold};
use super::{
    Case, Ending, Lock, Redundancy, Situation, Steps, failed_back, lead, outcome, own, plan, reason, undo_commands,
    unready,
};
use crate::model::failure::exit;
use crate::model::{
    Change, Conclusion, Drill, Gap, Gate, Hold, Judgement, LastSteps, Leg, Method, Move, MoveResult, Outcome, Plan,
    SubnetId, Survey, Verdict, Verification,
};

/// Why a drill leaves its subnet where it is.
pub const OVERTAKEN: &str = "it is not the drill's any more, as somebody moved subnets meanwhile";

/// Which subnet is wanted, and who could tell.
#[derive(Debug, Clone, Copy)]
pub struct Practice<'a> {
    /// This one; `None`: the one that a failback would begin with.
    pub wanted: Option<&'a SubnetId>,
    /// `failback.canary`.
    pub canary: Option<&'a SubnetId>,
    /// How many backends of each subnet can tell whether it reaches the internet.
    pub witnesses: &'a BTreeMap<SubnetId, usize>,
}

/// The plan of the way there: a takeover's, but of one subnet, and without what is done only when everything is moved.
///
/// # Errors
/// What keeps the drill from being begun, ready to be told.
pub fn drill(case: &Case, practice: &Practice<'_>) -> Result<Plan, Conclusion> {
    if let Method::Route { .. } = &case.rules.method {
        return Err(failed(
            "nothing is moved: with takeover.method = \"route\" a move is of all subnets of the table at once, and there is no single one to \
             practise with; natwatch takeover --dry-run shows whether EC2 would allow it, and who wants to see all of them move and come \
             back does so in a maintenance window: natwatch takeover, then natwatch failback"
                .to_owned(),
        ));
    }
    let latest = case.latest();
    if latest.is_empty() || latest.iter().any(|one| one.verdict != Verdict::Healthy) {
        return Err(unwell(case, &latest));
    }
    let Some(survey) = &case.survey else { return Err(failed("nothing is moved: EC2 was not asked".to_owned())) };
    let situation = Situation {
        survey,
        lock: &case.lock,
        paused: case.paused.as_ref(),
        guarded: case.guarded.as_ref(),
        families: &case.families(),
        planned: false,
    };
    let (plan, mut holds) = match plan(situation, &case.rules) {
        Ok(plan) => (Some(plan), Vec::new()),
        Err(holds) => (None, holds),
    };
    holds.extend(own::hold(case));
    holds.extend(recorded(&case.lock));
    holds.extend(unready(survey, case.guarded.as_ref(), &case.rules));
    let Some(plan) = plan.filter(|_| holds.is_empty()) else { return Err(held(holds)) };
    let chosen = choose(&plan, practice, case, survey).map_err(|hold| held(vec![hold]))?;
    // A takeover goes ahead where some are admitted, and a drill is of this one alone.
    let rules = &case.rules;
    let seen = case.guarded.as_ref();
    let seen = seen.filter(|set| set.primary == rules.primary_table && set.standby == rules.standby_table);
    if let Some(hold) = gates::refused(chosen.subnets(), seen) {
        return Err(held(vec![hold]));
    }
    Ok(Plan { moves: vec![chosen], address: None, reboot: None, ..plan })
}

/// Whatever a run would say of the same evidence, so that one table of exit statuses holds for both.
fn unwell(case: &Case, latest: &[Judgement]) -> Conclusion {
    let rested = |judgement| outcome(Ending::Rested { judgement, redundancy: Redundancy::StandsBy });
    let (outcome, exit) = lead(latest).map_or((Outcome::Unheard, exit::UNKNOWN), rested);
    let seen = if latest.is_empty() { reason::NOTHING_OBSERVED.to_owned() } else { super::because(case) };
    Conclusion::new(outcome, exit, format!("nothing is moved, as a drill begins in health only: {seen}"))
}

/// A record of phase `taken` is a gate already; a drill beside any other would write over it.
fn recorded(lock: &Lock) -> Option<Hold> {
    let Lock::Held { phase, .. } = lock else { return None };
    (*phase != crate::model::Phase::Taken).then(|| {
        let why = format!("a takeover or failback is on record that is not complete ({phase})");
        hold(Gate::Locked, why, "natwatch failback")
    })
}

/// The move of the subnet that is wanted, or of the one that risks least and can yet be seen.
fn choose(plan: &Plan, practice: &Practice<'_>, case: &Case, survey: &Survey) -> Result<Change, Hold> {
    let tell = |subnet: &SubnetId| practice.witnesses.get(subnet).copied().unwrap_or_default();
    let moved: Vec<&SubnetId> = plan.moves.iter().filter_map(Change::subnet).collect();
    let named = practice.wanted.or_else(|| practice.canary.filter(|one| moved.contains(one)));
    let Some(subnet) = named.or_else(|| canary(&moved, tell)) else {
        return Err(hold(Gate::Foreign, "no subnet is there to practise with", "natwatch status"));
    };
    let Some(change) = plan.moves.iter().find(|one| one.subnet() == Some(subnet)) else {
        let mut tables = survey.tables.iter().flatten();
        let on = tables.find(|table| gates::association(table, subnet).is_some());
        let place = on.map_or_else(|| "is on neither table".to_owned(), |table| format!("is on {}", table.id));
        let primary = &case.rules.primary_table;
        let why = format!("{subnet} {place}: a drill takes a guarded subnet that the primary carries, on {primary}");
        return Err(hold(Gate::Foreign, why, "natwatch status"));
    };
    if tell(subnet) == 0 {
        let why = format!(
            "no backend of {subnet} is known to reach the internet, so nobody could tell whether the standby carries it"
        );
        return Err(hold(Gate::Unfit, why, "bring its backends to life, or name another subnet with --subnet"));
    }
    Ok(change.clone())
}

fn failed(because: String) -> Conclusion {
    Conclusion::new(Outcome::Failed, exit::FAILED, because)
}

fn held(holds: Vec<Hold>) -> Conclusion {
    let why = holds.first().map_or("", |hold| hold.why.as_str());
    let over = failed(format!("nothing is moved: {why}"));
    Conclusion { holds, ..over }
}

/// What a drill came to. `there`: the move to the standby; `back`: what came of the way back, and how many subnets are left on the standby.
/// `None`: there was nothing to bring back.
#[must_use]
pub fn drilled(there: &Move, back: Option<(&Steps, usize)>, measured: Option<&Drill>) -> Conclusion {
    let subnet = &there.plan;
    match (&there.result, back) {
        (MoveResult::WouldMove, _) => {
            let because = format!("{subnet} would go to the standby and come back");
            Conclusion::new(Outcome::WouldDrill, exit::DONE, because)
        }
        (MoveResult::Elsewhere(place), None) => failed(format!("somebody else has {subnet} by now, on {place}")),
        (MoveResult::AlreadyThere, None) => failed(format!(
            "somebody else moved {subnet} to the standby meanwhile, and it stays there: natwatch status"
        )),
        (MoveResult::Failed(why), None) => failed(format!("{subnet} could not be moved to the standby: {why}")),
        (_, None) => failed(format!("{subnet} could not be moved to the standby")),
        (_, Some((steps, _))) if steps.overtaken => not_back(there, OVERTAKEN, Vec::new()),
        (_, Some((steps, left))) => returned(there, steps, left, measured),
    }
}

fn returned(there: &Move, steps: &Steps, left: usize, measured: Option<&Drill>) -> Conclusion {
    let subnet = &there.plan;
    let home = failed_back(steps, left);
    let seen = match there.verification {
        Verification::Verified => format!("{subnet} was seen to reach the internet through the standby"),
        Verification::Pending => format!("{subnet} went to the standby, and it was ended before its time"),
        Verification::Unverified | Verification::Unwitnessed => {
            format!("{subnet} was NOT seen to reach anything through the standby")
        }
    };
    let lost = |one: &&Move| one.result.moved() && one.verification == Verification::Unverified;
    if steps.again.is_empty() && there.verification != Verification::Verified && steps.back.iter().any(|one| lost(&one))
    {
        let lost: Vec<Move> = steps.back.iter().filter(lost).cloned().collect();
        let because = format!(
            "{seen}; {}; {subnet} stays on the primary, as the standby was not seen to carry it either",
            home.because
        );
        return Conclusion { because, commands: undo_commands(&lost, &LastSteps::default()), ..home };
    }
    if home.outcome != Outcome::FailedBack {
        return Conclusion { because: format!("{seen}; {}", home.because), ..home };
    }
    if !steps.back.iter().any(|one| one.result.moved()) {
        return failed(format!("{seen}; somebody else moved it meanwhile, and it was left there: natwatch status"));
    }
    if there.verification != Verification::Verified {
        return failed(format!("{seen}; it is back on the primary, and traffic flows"));
    }
    let gaps = measured.map(|drill| format!("; {}", told(drill))).unwrap_or_default();
    Conclusion::new(
        Outcome::Drilled,
        exit::DONE,
        format!("{seen}, and is back on the primary, where it reaches too{gaps}"),
    )
}

fn told(drill: &Drill) -> String {
    let leg = |leg: Option<&Leg>| {
        let gap: Option<&Gap> = leg.and_then(|leg| leg.gap.as_ref());
        gap.map_or_else(|| "an unknown time".to_owned(), |gap| ms(gap.longest))
    };
    let (there, back) = (leg(Some(&drill.there)), leg(drill.back.as_ref()));
    format!("by its pings it was without an answer for at most {there} on the way there, {back} on the way back")
}

fn ms(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

/// The subnet was not brought back, and why.
#[must_use]
pub fn not_back(there: &Move, why: &str, holds: Vec<Hold>) -> Conclusion {
    let because = format!(
        "{} was left where it is: {why}; natwatch status says where, and natwatch failback brings it back",
        there.plan
    );
    Conclusion { holds, ..Conclusion::new(Outcome::Partial, exit::FAILED, because) }
}
