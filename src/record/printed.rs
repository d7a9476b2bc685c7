//! What was last printed where nobody watches (`printed.json`), so that cron sends one mail per change of state and a reminder
//! each hour, not one every two minutes.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{PRINTED, State, StateError, VERSION};
use crate::model::{Gate, Outcome};

/// While a state lasts, it is told again after this.
const REMINDER: SignedDuration = SignedDuration::from_hours(1);

/// What was printed, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Printed {
    /// Layout of the file.
    version: u32,
    /// The outcome.
    pub outcome: Outcome,
    /// The gate that held.
    pub gate: Option<Gate>,
    /// When.
    pub at: Timestamp,
}

impl Printed {
    /// This was printed.
    #[must_use]
    pub const fn new(outcome: Outcome, gate: Option<Gate>, at: Timestamp) -> Self {
        Self { version: VERSION, outcome, gate, at }
    }
}

/// Whether a pass is told. On a terminal always. Elsewhere: when outcome or gate are others than when last printed, each hour
/// while it lasts, and a takeover always; a healthy state only when it ends another, a busy lock never (the caller tells of
/// one that is overdue).
///
/// Whoever prints elsewhere than on a terminal then writes [`Printed`]; who doesn't print doesn't write, or the hour would never pass.
#[must_use]
pub fn should_print(previous: Option<&Printed>, current: (Outcome, Option<Gate>), now: Timestamp, is_terminal: bool) -> bool {
    if is_terminal {
        return true;
    }
    let changed = previous.is_some_and(|before| (before.outcome, before.gate) != current);
    match current.0 {
        Outcome::Busy => false,
        Outcome::TakenOver => true,
        Outcome::Healthy => changed,
        _ => {
            let Some(before) = previous else { return true };
            let age = now.duration_since(before.at);
            // Printed in the future: the clock was set back, and how long ago it was can't be known.
            changed || age >= REMINDER || age.is_negative()
        }
    }
}

impl State {
    /// What was last printed; a file that can't be used counts as none, at the price of one line too many.
    #[must_use]
    pub fn read_printed(&self) -> Option<Printed> {
        self.read_json(PRINTED).present()
    }

    /// Remembers what was printed.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written.
    pub fn write_printed(&self, printed: &Printed) -> Result<(), StateError> {
        self.write_json(PRINTED, printed)
    }
}
