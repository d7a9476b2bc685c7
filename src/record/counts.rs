//! What is counted for the metrics (`counts.json`), so that counters go on where the run before has left them.
//!
//! In the state folder, and not read back from the textfile: that one is another program's folder, is often lost with a reboot, and to
//! read it a parser would be needed. It is written before the textfile, so that no counter that was seen ever goes back.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lock::Turn;
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

    /// Adds what was counted since, and returns the sums, right whether or not they could be written; and why they could not: then it is for the
    /// caller to keep it for the next time. Others who count are waited for with `patience`, so that nobody's sums are lost.
    #[must_use]
    pub fn count(&self, more: &Counts, patience: Duration) -> (Counts, Option<StateError>) {
        let turn = Turn::take(self, patience);
        let counts = self.read_counts().plus(more);
        if turn.is_none() {
            return (counts, Some(StateError::io("count in", &self.path(COUNTS))(io::ErrorKind::WouldBlock.into())));
        }
        let written = self.write_json(COUNTS, &Layout { version: VERSION, counts: counts.clone() });
        (counts, written.err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Verdict};
    use crate::record::lock::{BRIEF, PATIENT};

    #[test]
    fn counters_go_on_where_the_run_before_has_left_them() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        let one =
            |verdict, lost| Counts { rounds: [(Family::V4, [(verdict, 1)].into())].into(), lost, ..Counts::default() };
        for _ in 0..3 {
            assert!(state.count(&one(Verdict::Healthy, 1), PATIENT).1.is_none());
        }
        let sums = state.count(&one(Verdict::Down, 0), PATIENT).0;
        assert_eq!(sums, state.read_counts());
        assert_eq!(sums.rounds[&Family::V4], [(Verdict::Healthy, 3), (Verdict::Down, 1)].into());
        assert_eq!((sums.lost, sums.delivered), (3, 0));
        std::fs::write(state.path(COUNTS), "torn").unwrap();
        assert_eq!(state.read_counts(), Counts::default());
    }

    #[test]
    fn f105_what_several_count_at_once_is_all_counted() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        // Each as a process of its own has it: a watch that may not wait, and commands that may.
        let counting = |delivered, patience| {
            let state = State::open(state.dir()).unwrap();
            let mut kept = Counts::default();
            for _ in 0..40 {
                kept = kept.plus(&Counts { delivered, ..Counts::default() });
                if state.count(&kept, patience).1.is_none() {
                    kept = Counts::default();
                }
            }
            assert!(kept == Counts::default() || state.count(&kept, PATIENT).1.is_none());
        };
        std::thread::scope(|all| {
            for (delivered, patience) in [(1, BRIEF), (100, PATIENT), (10_000, PATIENT)] {
                let counting = &counting;
                all.spawn(move || counting(delivered, patience));
            }
        });
        assert_eq!(state.read_counts().delivered, 40 * 10_101);
    }

    #[test]
    fn who_does_not_get_a_turn_keeps_what_he_counted() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        let one = Counts { lost: 1, ..Counts::default() };
        assert!(state.count(&one, BRIEF).1.is_none());
        let turn = Turn::take(&state, BRIEF).unwrap();
        let (sums, why) = state.count(&one, BRIEF);
        assert!(sums.lost == 2 && why.is_some(), "the sums are right, and nothing is written");
        assert_eq!(state.read_counts().lost, 1);
        drop(turn);
        assert_eq!(state.count(&one, BRIEF).0.lost, 2);
        assert_eq!(state.read_counts().lost, 2);
    }
}
