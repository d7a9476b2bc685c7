//! When a round of the calm is complete, and how long it may take.

use std::time::Duration;

use super::Calm;
use super::posts::{Place, Post};
use crate::model::{Family, Target};
use crate::observe::{Uplink, Vantages};

/// Past its turns, who is still logging in is waited for so long: what an address that is black-holed takes to be found out.
const HANGING: Duration = Duration::from_secs(4);

impl<V: Vantages, U: Uplink> Calm<'_, V, U> {
    /// Between two pings.
    pub(super) fn apart(&self, targets: usize) -> Duration {
        self.interval / u32::try_from(targets.max(1)).unwrap_or(u32::MAX)
    }

    /// How many make a round, in each family.
    fn wanted(&self) -> usize {
        let panel = self.observer.panel();
        if panel == 0 { self.posts.len() } else { self.posts.len().min(panel) }
    }

    /// Whether nobody is left in this round to be heard; who hangs or logs in for long is not waited for.
    pub(super) fn complete(&self, located: &[Target]) -> bool {
        let late = self.round.began.elapsed() >= self.turns(located) + HANGING;
        let awaited = |post: &Post| match post.state {
            Place::Ready => true,
            Place::Closed | Place::Opening => !late,
            Place::Asked(turn) => turn.at.elapsed() < self.observer.answers_within(),
        };
        let is_complete = |family: Family| {
            let heard = self.round.heard(family);
            let spoken = |post: &Post| self.round.spoken(&post.drawn.backend.host, family);
            heard > 0 && (heard >= self.wanted() || !self.posts.iter().any(|post| awaited(post) && !spoken(post)))
        };
        let families = self.checked.families(located);
        !families.is_empty() && families.into_keys().all(is_complete)
    }

    /// What the turns of a round take: each family has as many in an interval as it has targets.
    fn turns(&self, located: &[Target]) -> Duration {
        let fewest = self.checked.families(located).into_values().min().unwrap_or(1);
        self.apart(fewest).saturating_mul(u32::try_from(self.wanted()).unwrap_or(u32::MAX))
    }

    /// What a round may take at most.
    pub(super) fn limit(&self, located: &[Target]) -> Duration {
        (self.turns(located) + HANGING).max(self.observer.limit())
    }
}
