//! What a run of rounds amounts to: is it enough to act on, and when should the next round be?
//!
//! Rule 5 of the contract: `rounds` verdicts of `down` in a row, the first miss and the last at least the span apart.

use std::time::Duration;

use super::DecideSettings;
use crate::model::{Judgement, Moment, Verdict};

/// While the span runs, look again at least this often: a network that came back and went away again in between was not
/// dead, and only a look in between can tell. One second is what `decision.interval` asks of the targets' patience.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// From the end of a round to the start of the next, at most: what lies further back was seen before this process was
/// frozen, and says nothing of the present. It asks for pauses of a second and a half itself, and a survey by EC2 in
/// between may take some ten.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// What the rounds so far, of one family, are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The latest round is not `down`: the row is broken.
    Clear,
    /// Down so far. The next round's probes should leave at this moment, not before.
    More {
        /// When.
        not_before: Moment,
    },
    /// Enough.
    Conclusive,
}

/// Weighs `judgements`, oldest first, all of one family.
#[must_use]
pub fn evidence(judgements: &[Judgement], settings: &DecideSettings, now: Moment) -> Evidence {
    let row = row(judgements);
    let Some(latest) = row.first() else {
        // A stale round says nothing at all: it neither breaks the row nor adds to it, but what came before is old too.
        let down = judgements.last().is_some_and(|one| one.verdict == Verdict::Down);
        return if down { Evidence::More { not_before: now } } else { Evidence::Clear };
    };
    let first_miss = row.last().and_then(|oldest| oldest.first_miss);
    let spanned =
        first_miss.zip(latest.last_miss).is_some_and(|(first, last)| last.saturating_sub(first) >= settings.span);
    // A process that was frozen between the last round and this moment knows nothing of the present.
    let fresh = now.saturating_sub(latest.ended) <= LOOK_AGAIN;
    if row.len() >= settings.rounds && spanned && fresh {
        return Evidence::Conclusive;
    }
    let spanned_at = first_miss.map_or(now, |first| first + settings.span).max(now);
    let wait = spanned_at.saturating_sub(now);
    // A last step of up to one and a half is taken at once: two short ones would tell no more.
    let not_before = if wait > LOOK_AGAIN + LOOK_AGAIN / 2 { now + LOOK_AGAIN } else { spanned_at };
    Evidence::More { not_before }
}

/// The latest rounds that are `down` without a break, newest first.
fn row(judgements: &[Judgement]) -> Vec<&Judgement> {
    let mut row: Vec<&Judgement> = Vec::new();
    for one in judgements.iter().rev().take_while(|one| one.verdict == Verdict::Down && !one.stale) {
        if row.last().is_some_and(|next| next.started.saturating_sub(one.ended) > FORGOTTEN) {
            break;
        }
        row.push(one);
    }
    row
}
