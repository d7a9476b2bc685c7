//! What only root can see of this machine (`facts.json`), left for those who can't: natwatch as its service's user decides by it.
//!
//! The firewall may be another after a reboot, so a sighting counts within the boot in which it was made and says nothing of any other; its age is
//! by the boot clock, which nobody can set. It does not look itself, and it does not decide what follows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::pause::Boot;
use super::{FACTS, State, StateError, VERSION};
use crate::model::Found;
use crate::model::cloud::Sighting;

/// What was seen by who may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Layout of the file: [`super::VERSION`].
    pub version: u32,
    /// When, by the boot clock, and in which boot.
    pub boot: Boot,
    /// The same by the wall clock, for people.
    pub at: Timestamp,
    /// Whether a rule that masquerades was there.
    pub masquerade: bool,
}

impl State {
    /// What was left.
    #[must_use]
    pub fn read_facts(&self) -> Found<Facts> {
        self.read_json(FACTS)
    }

    /// Leaves what was seen now.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written, or a newer natwatch's are there.
    pub fn leave_facts(&self, masquerade: bool, at: Timestamp, boot: Boot) -> Result<(), StateError> {
        self.write_json(FACTS, &Facts { version: VERSION, boot, at, masquerade })
    }

    /// What is known by it at the moment `now`.
    ///
    /// # Errors
    ///
    /// Why it says nothing of this boot: one line, to go on from "could not look, and …".
    pub fn sighting(&self, now: Option<&Boot>) -> Result<Sighting, String> {
        let found = self.read_facts();
        if let Some(trouble) = found.trouble() {
            return Err(trouble);
        }
        let facts = found.present().ok_or("nobody who may look has left facts.json")?;
        let now = now.ok_or("which boot this is can't be read, so facts.json says nothing")?;
        if facts.boot.id != now.id {
            return Err(format!("facts.json, of {:.0}, is of another boot", facts.at));
        }
        Ok(Sighting { masquerade: facts.masquerade, ago: now.at.saturating_sub(facts.boot.at) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn boot(id: &str, at: u64) -> Boot {
        Boot { id: id.to_owned(), at: Duration::from_secs(at) }
    }

    #[test]
    fn f010_what_root_saw_counts_within_its_boot_and_says_how_old_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        let nothing = state.sighting(Some(&boot("a", 10))).unwrap_err();
        assert_eq!(nothing, "nobody who may look has left facts.json");
        // The wall clock may say what it likes.
        state.leave_facts(false, Timestamp::UNIX_EPOCH, boot("a", 100)).unwrap();
        let seen = state.sighting(Some(&boot("a", 820))).unwrap();
        assert_eq!(seen, Sighting { masquerade: false, ago: Duration::from_mins(12) });
        assert_eq!(seen.to_string(), "as root saw 12 min ago, by facts.json");
        let other = state.sighting(Some(&boot("b", 820))).unwrap_err();
        assert_eq!(other, "facts.json, of 1970-01-01T00:00:00Z, is of another boot");
        assert!(state.sighting(None).unwrap_err().contains("which boot this is can't be read"));
        state.leave_facts(true, Timestamp::UNIX_EPOCH, boot("b", 1)).unwrap();
        assert!(state.sighting(Some(&boot("b", 2))).unwrap().masquerade);
    }

    #[test]
    fn f072_facts_that_cannot_be_read_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        for (text, why) in [("{ torn", "not JSON"), ("{\"version\": 99}", "newer")] {
            std::fs::write(state.dir().join(FACTS), text).unwrap();
            let said = state.sighting(Some(&boot("a", 1))).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert!(state.leave_facts(true, Timestamp::UNIX_EPOCH, boot("a", 1)).is_err(), "a newer natwatch's are left");
    }
}
