//! A takeover that EC2 did not let happen while the evidence for it was good: the primary may have come back meanwhile, so what is left of
//! it waits for evidence that is gathered anew, as long as the deadline allows.
//!
//! In a `watch` that is what its next burst is for. Where it is not known what became of a call, the pass ends: the record says so to the
//! next one.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::pass::Going;
use crate::act::Changer;
use crate::model::{Conclusion, Moment, Move, Outcome};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};

/// What two rounds take besides the span, by sessions that are open, and the moves that they may lead to. With less than this left, what
/// is known is said. Verification is no part of it: the next run of cron is a minute away or more, and whoever is cut off is better off moved
/// now and seen to reach by that one.
const AGAIN: Duration = Duration::from_secs(5);

/// How far an earlier takeover of this pass has come.
#[derive(Debug, Default)]
pub(super) struct Lapse {
    /// The evidence had lapsed before everything that it called for was moved.
    pub(super) lapsed: bool,
    /// What it has moved.
    stand: Vec<Move>,
}

/// The evidence for a takeover, as it grows old: by the clock that goes on while everything else stands still.
pub(super) struct Evidence<'a> {
    clock: &'a dyn Fn() -> Moment,
    lapses: Option<Moment>,
    /// Something was not begun, as it had lapsed.
    missed: Cell<bool>,
}

impl<'a> Evidence<'a> {
    pub(super) fn of<V: Vantages, U, C, H>(going: &Going<'a, V, U, C, H>) -> Self {
        Self { clock: going.world.clock, lapses: going.case.lapses(), missed: Cell::new(false) }
    }

    /// Whether something may begin by it, to be asked by who would.
    pub(super) fn current(&self) -> bool {
        let current = self.lapses.is_none_or(|at| (self.clock)() < at);
        self.missed.set(self.missed.get() || !current);
        current
    }

    /// Until when, at the latest.
    pub(super) fn until(&self, deadline: Instant) -> Instant {
        let left = self.lapses.map(|at| at.saturating_sub((self.clock)()));
        left.map_or(deadline, |left| deadline.min(Instant::now() + left))
    }

    pub(super) fn was_missed(&self) -> bool {
        self.missed.get()
    }
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// The rounds of a pass that ends, and what they lead to.
    pub(super) async fn concluded(&mut self) -> Conclusion {
        let mut down = self.rounds().await;
        if self.overtaken().await {
            down = self.rounds().await;
        }
        if !down {
            return self.rested().await;
        }
        let mut concluded = self.down().await;
        while self.goes_again() {
            let before = self.case.clone();
            self.forget_evidence();
            let now = if self.rounds().await {
                let now = self.down().await;
                let unasked = self.case.survey.as_ref().is_some_and(|survey| !survey.answered());
                // Whoever has the lock by now tells of his own moves, and nobody else of those that stand.
                let busy = now.outcome == Outcome::Busy && !self.lapse.stand.is_empty();
                (!unasked && !busy).then_some(now)
            } else if self.case.out_of_time {
                None
            } else {
                let now = self.rested().await;
                self.case.moves = Some(self.lapse.stand.clone()).filter(|moves| !moves.is_empty());
                Some(now)
            };
            let Some(now) = now else {
                // Nothing is known of these moves that was not known before.
                self.case = before;
                break;
            };
            concluded = now;
        }
        concluded
    }

    /// Whether there is something left that only fresh evidence may ask for, and time for both. Not after a signal.
    fn goes_again(&self) -> bool {
        let left = self.case.moves.iter().flatten().any(|one| !one.result.settled());
        let enough = Instant::now() + self.settings.decide.span + AGAIN < self.deadline;
        self.lapse.lapsed && left && enough && self.world.moving.replace(false)
    }

    /// Ready for evidence as if none had been gathered. What was moved by the former stands.
    fn forget_evidence(&mut self) {
        let moves = self.case.moves.take().unwrap_or_default();
        self.lapse.stand = moves.into_iter().filter(|one| one.result.moved()).collect();
        let text =
            "EC2 has not moved everything while the evidence for it was good, and the primary may have come back";
        (self.world.tell)(&format!("{text}; looking again"));
        self.lapse.lapsed = false;
        self.found = self.world.state.read_record(None);
        let mut notes = std::mem::take(&mut self.notes);
        notes.push(format!("{text}: that was gathered anew"));
        self.renew();
        self.notes = notes;
    }

    /// The moves of a takeover, with those that stand since an earlier one of this pass.
    pub(super) fn with_those_that_stand(&self, moves: Vec<Move>) -> Vec<Move> {
        let stand = self.lapse.stand.iter().filter(|one| !moves.iter().any(|other| other.plan.same(&one.plan)));
        let mut all: Vec<Move> = stand.cloned().collect();
        all.extend(moves);
        all
    }
}
