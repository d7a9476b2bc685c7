//! The last pass with its evidence (`last-round.json`): what `replay` decides again and `status` tells.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{LAST_ROUND, State, StateError};
use crate::model::{Family, Found, Pass, Round};

/// The last pass, and the rules `R` by which it was decided: whoever decides brings them, and who only tells ignores them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRound<R> {
    /// Layout of the file: [`super::VERSION`].
    pub version: u32,
    /// When the pass ended, by the wall clock.
    pub at: Timestamp,
    /// By which rules.
    pub rules: R,
    /// The families that were judged.
    pub families: Vec<Family>,
    /// The evidence.
    pub rounds: Vec<Round>,
    /// What it came to.
    pub pass: Pass,
}

impl State {
    /// The last pass.
    #[must_use]
    pub fn read_last_round<R: DeserializeOwned>(&self) -> Found<LastRound<R>> {
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
