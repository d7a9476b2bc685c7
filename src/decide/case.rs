//! One pass decided: from all that it knew to what is to be done, or to what it came to.
//!
//! [`Case`] is complete: whoever has it (`run`, `check`, `replay`, a simulation) comes to the same [`Decision`], to the last
//! byte of its sentences.

mod anew;
mod evidence;
mod names;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::commands::{finish_commands, held_commands, reboot_commands, undo_commands};
use super::{
    DecideSettings, Ending, Lock, Next, Redundancy, Situation, guarded, lead, outcome, outcome_of, own, plan, reason,
    unfit::unfit, unseen,
};
use crate::model::failure::exit;
use crate::model::{
    Conclusion, Family, Gate, GuardedSet, Hold, Judgement, LastSteps, Moment, Move, Outcome, OwnWitness, Pass, Paused,
    Phase, Plan, Round, Survey, Verdict,
};

/// Everything that a pass knew when it decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// By which rules.
    pub rules: DecideSettings,
    /// An operator asked for the takeover: no evidence is needed, and what is to be waited for on evidence is not.
    #[serde(default)]
    pub planned: bool,
    /// The evidence, oldest round first.
    pub looks: Vec<Look>,
    /// No further round could be had before the deadline.
    pub out_of_time: bool,
    /// The takeover record.
    pub lock: Lock,
    /// The record is older than one at which anybody could be at work: what nobody has verified by now, nobody will.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
    /// A pause that is not over.
    pub paused: Option<Paused>,
    /// The guarded subnets as known.
    pub guarded: Option<GuardedSet>,
    /// How many of the configured backends can ever be witnesses: those with an address in a guarded subnet. `None`: not known.
    #[serde(default)]
    pub accusers: Option<usize>,
    /// Why it is not known what is guarded, where EC2 was asked in vain.
    pub unknown: Option<String>,
    /// What EC2 and this machine look like. EC2 is asked only when the evidence calls for a takeover, or beside the rounds of a `watch`.
    pub survey: Option<Survey>,
    /// What `standby.witnesses` said in the round that decides; `None`: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Vec<OwnWitness>>,
    /// What became of the plan; `None` before it was carried out, or where there was none.
    pub moves: Option<Vec<Move>>,
    /// And of what was to be done when all of it stood.
    #[serde(default, skip_serializing_if = "LastSteps::is_empty")]
    pub last: LastSteps,
    /// Who is moving subnets now, where somebody else is.
    pub busy: Option<String>,
    /// Why nothing can be remembered.
    pub forgets: Option<String>,
}

/// A round, and when it was weighed: evidence ages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The evidence.
    pub round: Round,
    /// When the decision was made on it.
    pub weighed: Moment,
}

/// What a [`Case`] leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Carry this out; then decide again, with what became of it.
    TakeOver(Box<Plan>),
    /// It is over.
    Over(Conclusion),
}

impl Case {
    /// A case without evidence.
    #[must_use]
    pub const fn new(rules: DecideSettings) -> Self {
        Self {
            rules,
            planned: false,
            looks: Vec::new(),
            out_of_time: false,
            lock: Lock::Free,
            left: false,
            paused: None,
            guarded: None,
            accusers: None,
            unknown: None,
            survey: None,
            own: None,
            moves: None,
            last: LastSteps { address: None, reboot: None },
            busy: None,
            forgets: None,
        }
    }

    /// The report of a pass that came to `over`, without what only who ran it knows: how long it took, and notes.
    #[must_use]
    pub fn pass(&self, over: Conclusion) -> Pass {
        let Conclusion { outcome, exit, because, holds, commands } = over;
        // Rounds in order, the families of one round next to each other.
        let mut judgements: Vec<Judgement> = self.judgements().into_values().flatten().collect();
        judgements.sort_by_key(|one| one.ended);
        Pass {
            outcome,
            exit,
            because,
            holds,
            judgements,
            names: self.names(),
            moves: self.moves.clone().unwrap_or_default(),
            last: self.last.clone(),
            paused: self.paused.clone(),
            drill: None,
            elapsed: Duration::ZERO,
            dry_run: false,
            notes: Vec::new(),
            commands,
        }
    }
}

/// Decides a pass.
#[must_use]
pub fn decide(case: &Case) -> Decision {
    match considered(case) {
        Ok(plan) if case.moves.is_none() => Decision::TakeOver(Box::new(plan)),
        Ok(_) => Decision::Over(moved(case)),
        Err(over) => Decision::Over(over),
    }
}

/// What a pass has come to; a plan that was not carried out has moved nothing.
#[must_use]
pub fn conclude(case: &Case) -> Conclusion {
    considered(case).map_or_else(|over| over, |_| moved(case))
}

/// The plan, or why there is none.
pub(super) fn considered(case: &Case) -> Result<Plan, Conclusion> {
    if let Some(who) = &case.busy {
        return Err(Conclusion::new(Outcome::Busy, exit::BUSY, who.clone()));
    }
    if !case.planned && case.next() != Next::Act {
        return Err(rested(case));
    }
    let Some(survey) = &case.survey else { return Err(held(case, vec![reason::unasked()])) };
    let situation = Situation {
        survey,
        lock: &case.lock,
        paused: case.paused.as_ref(),
        guarded: case.guarded.as_ref(),
        families: &case.families(),
        planned: case.planned,
    };
    let plan = match (plan(situation, &case.rules), own::hold(case)) {
        (Ok(plan), None) => plan,
        (plan, own) => return Err(held(case, plan.err().into_iter().flatten().chain(own).collect())),
    };
    if let Some(hold) = helpless(case).filter(|_| !case.planned) {
        return Err(held(case, vec![hold]));
    }
    if case.planned || case.accuses(&plan) {
        return Ok(plan);
    }
    let known = case.guarded.is_some();
    let hold = if known { reason::not_behind_the_primary() } else { reason::places_unknown() };
    Err(held(case, vec![hold]))
}

/// Why something is done: the evidence in a sentence, or that somebody asked for it.
#[must_use]
pub fn grounds(case: &Case) -> String {
    if case.planned { reason::ASKED_FOR.to_owned() } else { because(case) }
}

/// Why the last round is what it is; where several families are judged, of the one that leads.
#[must_use]
pub fn because(case: &Case) -> String {
    let latest = case.latest();
    lead(&latest).map_or_else(String::new, |one| reason::round(one, latest.len() > 1))
}

/// Routes can be of a family that is not down: with default routes among them, but none of a family that is, nothing would be
/// mended, and what works would be moved.
fn helpless(case: &Case) -> Option<Hold> {
    let of = case.rules.method.families();
    let down: Vec<Family> =
        case.latest().iter().filter(|one| one.verdict == Verdict::Down).map(|one| one.family).collect();
    let first = down.first().filter(|_| !of.is_empty() && !down.iter().any(|family| of.contains(family)));
    first.map(|family| reason::not_a_destination(*family))
}

fn moved(case: &Case) -> Conclusion {
    let moves = case.moves.as_deref().unwrap_or_default();
    let (outcome, mut exit) = outcome_of(moves, &case.last);
    if case.planned && matches!(outcome, Outcome::TakenOver | Outcome::WouldTakeOver) {
        // Done as asked: a status of its own is for who did not expect it.
        exit = exit::DONE;
    }
    let mut why = reason::moved(outcome, moves, &case.last, &grounds(case));
    if !case.planned && moves.iter().any(|one| one.result.settled()) {
        why.push_str(&reason::also_moved(&case.latest(), moves));
    }
    let mut commands = match outcome {
        Outcome::Partial | Outcome::Failed => finish_commands(moves, &case.last),
        Outcome::Unverified => undo_commands(moves, &case.last),
        _ => Vec::new(),
    };
    commands.extend(reboot_commands(&case.last));
    Conclusion { commands, ..Conclusion::new(outcome, exit, why) }
}

fn held(case: &Case, holds: Vec<Hold>) -> Conclusion {
    if case.planned {
        // Nobody is cut off, so there is nothing to be done by hand in spite of a gate.
        let over = Conclusion::new(Outcome::Failed, exit::FAILED, reason::held(&grounds(case), &holds));
        return Conclusion { holds, ..over };
    }
    let (outcome, exit) = outcome(Ending::Held(&holds));
    let mut over = Conclusion::new(outcome, exit, reason::held(&because(case), &holds));
    if let Some(survey) = &case.survey {
        over.commands = held_commands(survey, case.guarded.as_ref(), &case.rules);
    }
    over.holds = holds;
    over
}

fn rested(case: &Case) -> Conclusion {
    let latest = case.latest();
    let Some(judgement) = lead(&latest) else {
        return Conclusion::new(Outcome::Unheard, exit::UNKNOWN, reason::NOTHING_OBSERVED.to_owned());
    };
    let phase = match &case.lock {
        Lock::Held { phase, .. } => Some(*phase),
        Lock::Free | Lock::Unreadable(_) => None,
    };
    let unseen = unseen::unseen(case);
    let redundancy = unseen.map_or_else(|| Redundancy::of(phase, case.guarded.as_ref()), |_| Redundancy::Unseen);
    let (outcome, exit) = outcome(Ending::Rested { judgement, redundancy });
    let round = because(case);
    let because = match (outcome, phase) {
        _ if case.out_of_time => reason::out_of_time(&round),
        (Outcome::Unverified, _) => reason::unseen(unseen, &round),
        (Outcome::Locked, Some(Phase::FailingBack)) => reason::half_back(&round),
        _ => reason::rested(outcome, &round),
    };
    let mut over = Conclusion::new(outcome, exit, because);
    over.holds = guarded::faults(case);
    if let Lock::Unreadable(why) = &case.lock {
        over.holds.push(Hold { gate: Gate::Locked, why: why.clone(), remedy: String::new() });
    }
    let unreadable = matches!(case.lock, Lock::Unreadable(_));
    if let Some(hold) = over.holds.first().filter(|_| outcome != Outcome::Down && (unreadable || exit != exit::UNKNOWN))
    {
        // Nothing is guarded, or the record can't be trusted: that must never look healthy.
        (over.outcome, over.exit, over.because) = (Outcome::Failed, exit::FAILED, hold.why.clone());
    } else if let (Outcome::Healthy, Some(why)) = (outcome, &case.forgets) {
        // Without its memory this standby has no witnesses and no lock one day: that must not stay unseen for weeks.
        (over.outcome, over.exit) = (Outcome::NoRedundancy, exit::WARNING);
        over.because = reason::forgets(&round, why);
    }
    if over.outcome == Outcome::Healthy {
        over.holds = unfit(case);
        if let Some(hold) = over.holds.first() {
            (over.outcome, over.exit) = (Outcome::NoRedundancy, exit::WARNING);
            over.because = reason::unfit(&round, hold);
        }
    }
    if let (Outcome::Partial, Lock::Held { moves, last, .. }) = (outcome, &case.lock) {
        over.commands = finish_commands(moves, last);
    }
    over
}
