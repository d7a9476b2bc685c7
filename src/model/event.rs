//! What somebody is told of: changes of state, each as an event with a name.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Outcome;
use super::evidence::words;

words! {
    /// A change of state, by the word that a hook is given. Those that an outcome has too are its own.
    EventKind {
        /// Backends are cut off, and a gate holds.
        Down => "down",
        /// The subnets were moved, and traffic flows.
        TakenOver => "taken-over",
        /// A takeover was due, or would be, and nothing could be moved.
        Failed => "failed",
        /// Some subnets could not be moved.
        Partial => "partial",
        /// Moved, and traffic was not seen to flow.
        Unverified => "unverified",
        /// Some backends are cut off, too few to act.
        Degraded => "degraded",
        /// Nothing is wrong any more.
        Healthy => "healthy",
        /// No target answers the standby: it can accuse nobody.
        Isolated => "isolated",
        /// Too few backends give a verdict.
        Unheard => "unheard",
        /// Traffic flows again by an earlier takeover, which waits for a failback or reset.
        Locked => "locked",
        /// Traffic flows, and nothing stands by.
        NoRedundancy => "no-redundancy",
        /// An operator has brought subnets back, or has tried to.
        Failback => "failback",
        /// An operator has cleared the lock.
        Reset => "reset",
        /// An operator holds all automatic action for a while.
        Paused => "paused",
        /// A pause has ended.
        Resumed => "resumed",
    }
}

impl EventKind {
    /// The state that an outcome is; `None`: it is none, such as that of a dry run.
    #[must_use]
    pub const fn of(outcome: Outcome) -> Option<Self> {
        Some(match outcome {
            Outcome::Healthy => Self::Healthy,
            Outcome::Degraded => Self::Degraded,
            Outcome::Down => Self::Down,
            Outcome::Isolated => Self::Isolated,
            Outcome::Unheard => Self::Unheard,
            Outcome::TakenOver => Self::TakenOver,
            Outcome::Locked => Self::Locked,
            Outcome::Failed => Self::Failed,
            Outcome::Partial => Self::Partial,
            Outcome::Unverified => Self::Unverified,
            Outcome::NoRedundancy => Self::NoRedundancy,
            Outcome::FailedBack => Self::Failback,
            // Practice ends as it began.
            Outcome::Drilled
            | Outcome::WouldTakeOver
            | Outcome::WouldFailBack
            | Outcome::WouldDrill
            | Outcome::Busy => return None,
        })
    }

    /// Whether it is a deed, or the end of a state that somebody asked for: each is told, however many there are.
    #[must_use]
    pub const fn is_deed(self) -> bool {
        matches!(self, Self::TakenOver | Self::Failback | Self::Reset | Self::Paused | Self::Resumed)
    }

    /// The state that follows by itself, and is no news.
    #[must_use]
    pub const fn settled(self) -> Self {
        match self {
            Self::TakenOver => Self::Locked,
            Self::Failback | Self::Reset => Self::Healthy,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_outcomes_and_events_are_the_same() {
        for outcome in Outcome::ALL {
            let Some(kind) = EventKind::of(*outcome) else { continue };
            let word = if *outcome == Outcome::FailedBack { "failback" } else { outcome.as_str() };
            assert_eq!(kind.as_str(), word);
        }
    }
}
