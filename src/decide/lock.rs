//! The takeover record as the rules see it.

use serde::{Deserialize, Serialize};

use crate::model::{LastSteps, Move, Phase};

/// The lock as read before the decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "there is one lock in a case, and none is moved about")]
pub enum Lock {
    /// No takeover is on record.
    Free,
    /// One is.
    Held {
        /// How far it has come.
        phase: Phase,
        /// Its moves.
        moves: Vec<Move>,
        /// What was to be done when they stood.
        #[serde(default)]
        last: LastSteps,
    },
    /// The record can't be read, is of a newer version…: held, and why. The remedy stands in the text.
    Unreadable(String),
}
