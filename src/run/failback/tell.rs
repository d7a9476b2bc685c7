//! The history of a failback: one line when it ends, with what one that was killed had done before and could not tell.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::decide;
use crate::model::{InstanceId, LastSteps, Move, Outcome, Phase, Record, RouteTableId};
use crate::record::history::{Deed, Entry};
use crate::record::{State, StateError, VERSION};

/// Why, in record and history.
pub(super) const ASKED_FOR: &str = "an operator asked for it";

/// The moves that a failback, or the way back of a drill, which was cut short has brought home, as long as no line of the history is as young
/// as its record.
pub(super) fn untold(state: &State, record: Option<&Record>, primary: &RouteTableId, own: &InstanceId) -> Vec<Move> {
    let Some(record) = record.filter(|record| record.phase == Phase::FailingBack) else { return Vec::new() };
    let (entries, _) = state.read_history().unwrap_or_default();
    let ended = |entry: &Entry| {
        let took = SignedDuration::try_from(entry.took).unwrap_or_default();
        entry.at.checked_add(took).unwrap_or(Timestamp::MAX)
    };
    let of_a_way_back = |entry: &Entry| matches!(entry.kind, Deed::Failback | Deed::Drill);
    if entries.iter().any(|entry| of_a_way_back(entry) && ended(entry) >= record.changed) {
        return Vec::new();
    }
    let home = |one: &&Move| decide::homeward(&one.plan, primary, own) && one.result.moved();
    record.moves.iter().filter(home).cloned().collect()
}

/// Adds the line.
pub(super) fn tell(
    state: &State,
    own: &InstanceId,
    (at, took): (Timestamp, Duration),
    (moves, last): (Vec<Move>, LastSteps),
    outcome: Outcome,
) -> Result<(), StateError> {
    state.append_history(&Entry {
        version: VERSION,
        kind: Deed::Failback,
        at,
        instance: Some(own.clone()),
        why: ASKED_FOR.to_owned(),
        outcome: Some(outcome),
        moves,
        last,
        drill: None,
        took,
    })
}
