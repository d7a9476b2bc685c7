//! What a pass is in the terms of a monitoring system.

use super::judge::enough;
use super::{DecideSettings, lead};
use crate::model::{Judgement, Outcome, Pass, ServiceState, Verdict};

/// The state that goes with a pass, whether it was made for this or is the last one of `run`. Never milder than that run's own exit
/// status: what it calls critical is critical here. What is locked or was taken over carries traffic, and waits for somebody.
#[must_use]
pub fn service_state(pass: &Pass) -> ServiceState {
    match pass.outcome {
        Outcome::Healthy | Outcome::FailedBack | Outcome::WouldFailBack | Outcome::Drilled | Outcome::WouldDrill => {
            ServiceState::Ok
        }
        Outcome::Degraded | Outcome::Locked | Outcome::NoRedundancy | Outcome::TakenOver => ServiceState::Warning,
        // What a frozen process saw says nothing of the present.
        Outcome::Down if lead(&pass.latest()).is_some_and(|one| one.verdict == Verdict::Down && one.stale) => {
            ServiceState::Unknown
        }
        // Failed although nobody is cut off: the takeover that is due one night will not happen, and nobody else would say so.
        Outcome::Down | Outcome::WouldTakeOver | Outcome::Failed | Outcome::Partial | Outcome::Unverified => {
            ServiceState::Critical
        }
        Outcome::Isolated | Outcome::Unheard | Outcome::Busy => ServiceState::Unknown,
    }
}

/// How many backends may be cut off in a round like this one before it can be `down`.
#[must_use]
pub fn bearable(round: &Judgement, settings: &DecideSettings) -> usize {
    let heard = round.heard();
    // `enough` only grows with the number of the cut off, and a file may claim any number.
    let (mut least, mut most) = (0, heard);
    while least < most {
        let middle = most - (most - least) / 2;
        if enough(middle, heard, settings) { most = middle - 1 } else { least = middle }
    }
    least
}
