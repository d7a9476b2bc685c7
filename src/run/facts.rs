//! What this process may see of the machine, and natwatch as its service's user may not, is left for it (`facts.json`).
//!
//! After the verdict, off the path to a takeover. Who may not look leaves what others saw as it is.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::cloud::Masquerade;
use crate::preflight;
use crate::record::State;
use crate::record::pause::Boot;

/// What has not changed is written again after this long: ages are told in hours, and a `run` every two minutes wears no disk.
const AGAIN: Duration = Duration::from_hours(1);

/// Looks, and leaves what was seen; returns why it could not be left.
pub(super) async fn leave(state: &State) -> Option<String> {
    leave_seen(state, &preflight::masquerade().await)
}

/// Leaves what this process itself has seen; returns why it could not be left.
pub(crate) fn leave_seen(state: &State, seen: &Masquerade) -> Option<String> {
    let masquerade = match seen {
        Masquerade::Present => true,
        Masquerade::Absent => false,
        Masquerade::Told(_) | Masquerade::Unknown(_) => return None,
    };
    let boot = Boot::now()?;
    if state.sighting(Some(&boot)).is_ok_and(|known| known.masquerade == masquerade && known.ago < AGAIN) {
        return None;
    }
    state.leave_facts(masquerade, Timestamp::now(), boot).err().map(|error| error.to_string())
}
