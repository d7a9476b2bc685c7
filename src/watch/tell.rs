//! Which passes are worth an event: every change that lasts, each takeover, and a reminder while something is wrong.
//!
//! A pass comes every few seconds, and a network that loses packets is degraded in one and well in the next. What is told is what
//! was so twice in a row; what somebody did, or could not do, at once.

use std::time::{Duration, Instant};

use crate::model::{Gate, Outcome, Pass};

/// While a state lasts that is not well, it is told again after this.
const REMINDER: Duration = Duration::from_hours(1);

/// Between two events about the same state flapping, at least: some 360 lines an hour at the very worst.
const APART: Duration = Duration::from_secs(10);

type State = (Outcome, Option<Gate>);

/// What was told.
pub(super) struct Teller {
    name: String,
    told: Option<(State, Instant)>,
    /// What the latest pass came to, if that is something else.
    seen: Option<State>,
}

impl Teller {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), told: None, seen: None }
    }

    /// Tells of a pass, if it is worth it; whether it was.
    pub(super) fn tell(&mut self, pass: &Pass, now: Instant) -> bool {
        let state = (pass.outcome, pass.holds.first().map(|hold| hold.gate));
        let worth = self.worth(state, !pass.moves.is_empty(), now);
        self.seen = Some(state);
        if worth {
            self.told = Some((state, now));
            say(pass, &self.name);
        } else {
            tracing::debug!("{}: {}", pass.outcome, pass.because);
        }
        worth
    }

    fn worth(&self, state: State, moved: bool, now: Instant) -> bool {
        if moved {
            return true;
        }
        let Some((told, at)) = self.told else { return true };
        let age = now.saturating_duration_since(at);
        if told == state {
            return state.0 != Outcome::Healthy && age >= REMINDER;
        }
        let urgent = matches!(state.0, Outcome::Down | Outcome::Failed | Outcome::Partial | Outcome::Unverified);
        (urgent || self.seen == Some(state)) && age >= APART
    }
}

fn say(pass: &Pass, name: &str) {
    let event = pass.outcome.as_str();
    let line = format!("{name}: {event}: {}", pass.because);
    match pass.exit {
        0 | 4 | 5 => tracing::warn!(event, "{line}"),
        _ => tracing::error!(event, "{line}"),
    }
    for one in &pass.moves {
        tracing::warn!("{}: {}", one.plan, one.result.as_str());
    }
    for hold in &pass.holds {
        tracing::warn!("gate {}: {} {}", hold.gate, hold.why, hold.remedy);
    }
    for note in &pass.notes {
        tracing::info!("{note}");
    }
    for command in &pass.commands {
        tracing::warn!("by hand: {command}");
    }
}
