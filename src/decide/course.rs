//! What a row of rounds amounts to, for one family: a state machine.
//!
//! Rule 5 of the contract: `rounds` verdicts of `down` in a row, the first miss and the last at least the span apart. The same
//! machine serves passes that end and passes without end: what rests in the one goes on calmly in the other.
//!
//! | state | the round is not `down` | `down`, but took longer than its limit | `down`, its first miss soon after the last one | `down`, long after |
//! |---|---|---|---|---|
//! | [`Course::Calm`] | calm | doubt | suspicion, 1 round | suspicion, 1 round |
//! | [`Course::Doubt`] | calm | doubt | suspicion, 1 round | suspicion, 1 round |
//! | [`Course::Suspicion`], n rounds | calm | doubt | suspicion, n + 1 rounds | suspicion, 1 round |
//!
//! | state | [`Course::next`] |
//! |---|---|
//! | calm | [`Next::Rest`] |
//! | doubt | [`Next::Look`], at once |
//! | suspicion: too few rounds, or too short a span | [`Next::Look`], within a second or as the span ends |
//! | suspicion: enough of both, but the last round, or its last miss, is too long ago | [`Next::Look`], at once |
//! | suspicion: enough of both, just now | [`Next::Act`] |

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DecideSettings;
use crate::model::{Judgement, Moment, Verdict};

/// While the span runs, look again at least this often: a network that came back and went away again in between was not
/// dead, and only a look in between can tell. One second is what `decision.interval` asks of the targets' patience.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// From the last counted miss of a round to the first of the next, at most. A round that waits for a slow login, a survey that waits
/// for EC2 or a frozen process leave a time in which nobody looked, and two hiccups at its ends are no outage. It asks for pauses
/// of a second and a half itself, and a round of misses takes some six tenths of one.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(5);

/// From the moment at which it was weighed, evidence calls for moves for so long. A move takes some tenths of a second, and a call that
/// EC2 does not answer two seconds; where EC2 makes us wait for longer, a primary that has come back meanwhile is not to be taken over.
pub(super) const CALLS_FOR: Duration = Duration::from_secs(10);

/// How far the evidence against the primary has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// The latest round is not `down`, or there is none.
    #[default]
    Calm,
    /// The latest round is `down`, but too old to count: it neither clears nor accuses, and what came before is older still.
    Doubt,
    /// The latest rounds are `down` without a break.
    Suspicion(Row),
}

/// Rounds of `down` without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// How many.
    pub rounds: usize,
    /// The first counted miss of the first round was sent no later than this.
    pub first_miss: Option<Moment>,
    /// The last counted miss of the latest round was sent no earlier than this.
    pub last_miss: Option<Moment>,
    /// When the latest round ended.
    pub ended: Moment,
}

impl Row {
    /// From the first counted miss to the last, as far as is certain.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.first_miss.zip(self.last_miss).map_or(Duration::ZERO, |(first, last)| last.saturating_sub(first))
    }

    /// How long nobody looked between this row and a further round of it.
    pub(super) fn gap(&self, round: &Judgement) -> Option<Duration> {
        self.last_miss.zip(round.first_miss).map(|(last, first)| first.saturating_sub(last))
    }

    fn goes_on_with(&self, round: &Judgement) -> bool {
        self.gap(round).is_some_and(|gap| gap <= FORGOTTEN)
    }

    /// Whether there are enough of them.
    pub(super) const fn many(&self, settings: &DecideSettings) -> bool {
        self.rounds >= settings.rounds
    }

    /// Whether they span enough. Without a miss whose moment is known there is no span, not even one of nothing.
    pub(super) fn long(&self, settings: &DecideSettings) -> bool {
        self.span() >= settings.span && self.first_miss.is_some()
    }

    /// Whether the latest has ended only just before `now`: a process that was frozen since knows nothing of the present. Nor does one that
    /// was frozen within it, while answers were on their way: what was missed must not be over for longer than a row may have gaps.
    pub(super) fn fresh(&self, now: Moment) -> bool {
        let missed = self.last_miss.unwrap_or(self.ended);
        now.saturating_sub(self.ended) <= LOOK_AGAIN && now.saturating_sub(missed) <= FORGOTTEN
    }
}

/// What follows from a [`Course`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// There is nothing to pursue.
    Rest,
    /// Not enough yet: the next round's pings should leave at this moment, not before.
    Look {
        /// When.
        not_before: Moment,
    },
    /// Enough.
    Act,
}

impl Course {
    /// The state after another round.
    #[must_use]
    pub fn step(self, round: &Judgement) -> Self {
        match (self, round.verdict, round.stale) {
            (_, Verdict::Healthy | Verdict::Degraded | Verdict::Isolated | Verdict::Unheard, _) => Self::Calm,
            (_, Verdict::Down, true) => Self::Doubt,
            (Self::Suspicion(row), Verdict::Down, false) if row.goes_on_with(round) => Self::Suspicion(Row {
                rounds: row.rounds + 1,
                first_miss: row.first_miss,
                last_miss: round.last_miss,
                ended: round.ended,
            }),
            (Self::Calm | Self::Doubt | Self::Suspicion(_), Verdict::Down, false) => Self::Suspicion(Row {
                rounds: 1,
                first_miss: round.first_miss,
                last_miss: round.last_miss,
                ended: round.ended,
            }),
        }
    }

    /// What follows from it at the moment `now`.
    #[must_use]
    pub fn next(self, settings: &DecideSettings, now: Moment) -> Next {
        let row = match self {
            Self::Calm => return Next::Rest,
            Self::Doubt => return Next::Look { not_before: now },
            Self::Suspicion(row) => row,
        };
        if row.many(settings) && row.long(settings) && row.fresh(now) {
            return Next::Act;
        }
        let spanned_at = row.first_miss.map_or(now, |first| first.saturating_add(settings.span)).max(now);
        let wait = spanned_at.saturating_sub(now);
        // A last step of up to one and a half is taken at once: two short ones would tell no more.
        let not_before = if wait > LOOK_AGAIN + LOOK_AGAIN / 2 { now.saturating_add(LOOK_AGAIN) } else { spanned_at };
        Next::Look { not_before }
    }
}

impl Next {
    /// What follows where several families are judged: enough in one is enough, and the earliest look comes first.
    #[must_use]
    pub fn of_all(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::Rest, |one, other| match (one, other) {
            (Self::Act, _) | (_, Self::Act) => Self::Act,
            (Self::Look { not_before: one }, Self::Look { not_before: other }) => {
                Self::Look { not_before: one.min(other) }
            }
            (look @ Self::Look { .. }, Self::Rest) | (Self::Rest, look) => look,
        })
    }
}
