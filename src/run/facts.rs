//! What this process may see of the machine, and natwatch as its service's user may not, is left for it (`facts.json`).
//!
//! After the verdict, off the path to a takeover. Who may not look leaves what others saw as it is.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::Settings;
use crate::model::Family;
use crate::model::cloud::Masquerade;
use crate::preflight::{self, Guarding, Reading};
use crate::record::State;
use crate::record::facts::Seen;
use crate::record::pause::Boot;

/// What has not changed is written again after this long: ages are told in hours, and a `run` every two minutes wears no disk.
const AGAIN: Duration = Duration::from_hours(1);

/// Whose packets are to be carried, as far as the folder knows.
pub(crate) fn guarding(settings: &Settings, state: &State) -> Vec<Guarding> {
    let observe = &settings.observe;
    Guarding::of(&settings.preflight, &observe.targets, &observe.backends, state.read_guarded().0.as_ref())
}

/// Leaves what a pass has seen, or looks where it did not; returns why it could not be left.
pub(super) async fn leave(settings: &Settings, state: &State, seen: Option<&Masquerade>) -> Option<String> {
    let all = guarding(settings, state);
    match (seen, all.as_slice()) {
        // Of two families a pass keeps the one that it goes by, and another may have been guarded when it looked.
        (Some(seen @ (Masquerade::Present | Masquerade::Absent)), [one]) => {
            leave_seen(state, &[(one.family, seen.clone())])
        }
        (Some(Masquerade::Told(_) | Masquerade::Unknown(_)), [_]) => None,
        _ => leave_seen(state, &each(preflight::rules(&all).await)),
    }
}

/// What was seen of each family.
pub(crate) fn each(readings: Vec<Reading>) -> Vec<(Family, Masquerade)> {
    readings.into_iter().map(|one| (one.family, one.decisive())).collect()
}

/// Leaves what this process itself has seen; returns why it could not be left.
pub(crate) fn leave_seen(state: &State, seen: &[(Family, Masquerade)]) -> Option<String> {
    let fact = |(family, seen): &(Family, Masquerade)| {
        let fact = match seen {
            Masquerade::Present => (true, false),
            Masquerade::Absent | Masquerade::Plain { .. } => (false, false),
            Masquerade::Dropped { .. } => (false, true),
            Masquerade::Told(_) | Masquerade::Unknown(_) => return None,
        };
        Some((*family, fact))
    };
    let facts: Vec<Seen> = seen.iter().filter_map(fact).collect();
    let boot = Boot::now().filter(|_| !facts.is_empty())?;
    let same = |(family, fact): &Seen| {
        let known = state.sighting(*family, Some(&boot));
        known.is_ok_and(|known| (known.masquerade, known.dropped) == *fact && known.ago < AGAIN)
    };
    if facts.iter().all(same) {
        return None;
    }
    state.leave_facts(&facts, Timestamp::now(), boot).err().map(|error| error.to_string())
}
