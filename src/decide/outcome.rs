//! What a pass came to, and its exit status: the contract's one order, first that applies.

use crate::model::{
    Gate, GuardedSet, Hold, Judgement, LastSteps, Move, MoveResult, Outcome, Phase, RouteTableId, Verdict, Verification,
};

/// Who stands by, as far as a pass without a takeover knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redundancy {
    /// The primary carries the guarded subnets, and this standby may take over.
    StandsBy,
    /// A complete takeover is on record, or one of which some subnets are back, and the standby carries subnets.
    Locked,
    /// A takeover that is not complete is on record.
    Incomplete,
    /// A failback or drill was cut short, and nobody has seen what it left on the standby reach from there.
    Unseen,
    /// Traffic flows, but nothing stands by: the standby carries without a lock, or a lock stands with nothing on the standby.
    Gone,
}

impl Redundancy {
    /// From the record's phase, and the guarded subnets as last seen, where they have been.
    #[must_use]
    pub fn of(phase: Option<Phase>, guarded: Option<&GuardedSet>) -> Self {
        let none_on = |table: fn(&GuardedSet) -> &RouteTableId| {
            guarded.is_some_and(|set| set.subnets.iter().all(|one| &one.on != table(set)))
        };
        match phase {
            Some(Phase::Taking | Phase::Partial) => Self::Incomplete,
            // All are back: they are guarded again, whatever became of whoever brought them.
            Some(Phase::FailingBack) if none_on(|set| &set.standby) => Self::of(None, guarded),
            Some(Phase::Taken) if none_on(|set| &set.standby) => Self::Gone,
            Some(Phase::Taken | Phase::FailingBack) => Self::Locked,
            None if none_on(|set| &set.primary) => Self::Gone,
            None => Self::StandsBy,
        }
    }
}

/// How a pass ended.
#[derive(Debug, Clone, Copy)]
pub enum Ending<'a> {
    /// Down, and held by these gates.
    Held(&'a [Hold]),
    /// Down, and these moves were made (or tried).
    Moved(&'a [Move]),
    /// Not down.
    Rested {
        /// The latest round, of the family that is worst off.
        judgement: &'a Judgement,
        /// Who stands by.
        redundancy: Redundancy,
    },
}

/// The outcome and its exit status.
#[must_use]
pub fn outcome(ending: Ending<'_>) -> (Outcome, u8) {
    match ending {
        Ending::Held(holds) => {
            let only_waiting =
                !holds.is_empty() && holds.iter().all(|hold| matches!(hold.gate, Gate::Booting | Gate::Paused));
            (Outcome::Down, if only_waiting { 3 } else { 2 })
        }
        Ending::Moved(moves) => moved(moves),
        Ending::Rested { judgement, redundancy } => match (judgement.verdict, redundancy) {
            // A run of rounds that stopped at `down` without enough evidence (its deadline came first).
            (Verdict::Down, _) => (Outcome::Down, 2),
            (_, Redundancy::Incomplete) => (Outcome::Partial, 2),
            // That others reach, or that nobody can tell, makes it no better.
            (_, Redundancy::Unseen) => (Outcome::Unverified, 2),
            (Verdict::Isolated, _) => (Outcome::Isolated, 3),
            (Verdict::Unheard, _) => (Outcome::Unheard, 3),
            (Verdict::Degraded, _) => (Outcome::Degraded, 1),
            (Verdict::Healthy, Redundancy::Gone) => (Outcome::NoRedundancy, 1),
            (Verdict::Healthy, Redundancy::Locked) => (Outcome::Locked, 5),
            (Verdict::Healthy, Redundancy::StandsBy) => (Outcome::Healthy, 0),
        },
    }
}

/// What moves and last steps came to. An address that did not come along leaves a takeover half done.
#[must_use]
pub fn outcome_of(moves: &[Move], last: &LastSteps) -> (Outcome, u8) {
    match moved(moves) {
        (Outcome::TakenOver | Outcome::WouldTakeOver | Outcome::Unverified, _) if !last.stand() => {
            (Outcome::Partial, 2)
        }
        other => other,
    }
}

fn moved(moves: &[Move]) -> (Outcome, u8) {
    let any = |fits: fn(&Move) -> bool| moves.iter().any(fits);
    if moves.is_empty() || any(|one| !one.result.settled()) {
        // What may have been moved is not known to have failed.
        let some = any(|one| one.result.settled() || one.result.perhaps_moved());
        return (if some { Outcome::Partial } else { Outcome::Failed }, 2);
    }
    if any(|one| one.result == MoveResult::WouldMove) {
        return (Outcome::WouldTakeOver, 4);
    }
    if any(|one| {
        one.verification == Verification::Unverified || (ours(one) && one.verification == Verification::Pending)
    }) {
        return (Outcome::Unverified, 2);
    }
    if any(ours) {
        return (Outcome::TakenOver, 4);
    }
    // Somebody else has taken them all, and nothing is left to stand by for.
    let looked_at = moves.iter().all(|one| one.verification != Verification::Pending);
    if looked_at { (Outcome::NoRedundancy, 1) } else { (Outcome::Unverified, 2) }
}

/// On this standby's table.
const fn ours(one: &Move) -> bool {
    matches!(one.result, MoveResult::Moved | MoveResult::AlreadyThere)
}

/// The judgement that leads where families differ: the one that is worst off.
#[must_use]
pub fn lead(judgements: &[Judgement]) -> Option<&Judgement> {
    let rank = |verdict| match verdict {
        Verdict::Down => 4,
        Verdict::Isolated => 3,
        Verdict::Unheard => 2,
        Verdict::Degraded => 1,
        Verdict::Healthy => 0,
    };
    // `max_by_key` takes the last of equals; the first (IPv4) is meant.
    judgements.iter().rev().max_by_key(|one| rank(one.verdict))
}
