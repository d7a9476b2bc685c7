//! What is counted for the metrics (`counts.json`), so that counters go on where the run before has left them.
//!
//! In the state folder, and not read back from the textfile: that one is another program's folder, is often lost with a reboot, and to
//! read it a parser would be needed. It is written before the textfile, so that no counter that was seen ever goes back.

use serde::{Deserialize, Serialize};

use super::{COUNTS, State, StateError, VERSION};
use crate::model::Counts;

#[derive(Default, Serialize, Deserialize)]
struct Layout {
    version: u32,
    #[serde(flatten)]
    counts: Counts,
}

impl State {
    /// What was counted; a file that can't be used counts as none, which a collector takes for a restart.
    #[must_use]
    pub fn read_counts(&self) -> Counts {
        self.read_json::<Layout>(COUNTS).present().unwrap_or_default().counts
    }

    /// Adds what was counted since, and returns the sums, right whether or not they could be written; and why they could not.
    #[must_use]
    pub fn count(&self, more: &Counts) -> (Counts, Option<StateError>) {
        let counts = self.read_counts().plus(more);
        let written = self.write_json(COUNTS, &Layout { version: VERSION, counts: counts.clone() });
        (counts, written.err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Verdict};

    #[test]
    fn counters_go_on_where_the_run_before_has_left_them() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        let one =
            |verdict, lost| Counts { rounds: [(Family::V4, [(verdict, 1)].into())].into(), lost, ..Counts::default() };
        for _ in 0..3 {
            assert!(state.count(&one(Verdict::Healthy, 1)).1.is_none());
        }
        let sums = state.count(&one(Verdict::Down, 0)).0;
        assert_eq!(sums, state.read_counts());
        assert_eq!(sums.rounds[&Family::V4], [(Verdict::Healthy, 3), (Verdict::Down, 1)].into());
        assert_eq!((sums.lost, sums.delivered), (3, 0));
        std::fs::write(state.path(COUNTS), "torn").unwrap();
        assert_eq!(state.read_counts(), Counts::default());
    }
}
