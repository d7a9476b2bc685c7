//! The last pass with its evidence (`last-round.json`): what `replay` decides again and `status` tells.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{LAST_ROUND, State, StateError};
use crate::model::{Found, Pass};

/// The last pass, and all that it was decided from, `C`: whoever decides brings it, and who only tells ignores it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRound<C> {
    /// Layout of the file: [`super::VERSION`].
    pub version: u32,
    /// When the pass ended, by the wall clock.
    pub at: Timestamp,
    /// What it knew.
    pub case: C,
    /// What it came to.
    pub pass: Pass,
}

impl State {
    /// The last pass.
    #[must_use]
    pub fn read_last_round<C: DeserializeOwned>(&self) -> Found<LastRound<C>> {
        self.read_json(LAST_ROUND)
    }

    /// Remembers a pass.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written.
    pub fn write_last_round(&self, last: &LastRound<impl Serialize>) -> Result<(), StateError> {
        self.write_json(LAST_ROUND, last)
    }
}
