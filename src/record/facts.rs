//! What only root can see of this machine (`facts.json`), left for those who can't: natwatch as its service's user decides by it.
//!
//! The firewall may be another after a reboot, so a sighting counts within the boot in which it was made and says nothing of any other; its age is
//! by the boot clock, which nobody can set. It does not look itself, and it does not decide what follows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::pause::Boot;
use super::{FACTS, State, StateError, VERSION};
use crate::model::cloud::Sighting;
use crate::model::{Family, Found};

/// What was seen by who may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Layout of the file: [`super::VERSION`].
    pub version: u32,
    /// When, by the boot clock, and in which boot.
    pub boot: Boot,
    /// The same by the wall clock, for people.
    pub at: Timestamp,
    /// Whether a rule that masquerades was there; `None`: what becomes of IPv4 was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masquerade: Option<bool>,
    /// Whether a chain dropped all that was to be forwarded.
    #[serde(default)]
    pub dropped: bool,
    /// The same of IPv6, where that is guarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub six: Option<Six>,
}

/// What was seen of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Six {
    /// Whether a rule that translates sources was there.
    pub masquerade: bool,
    /// Whether a chain dropped all that was to be forwarded.
    pub dropped: bool,
}

/// Of a family: whether something masqueraded, and whether a chain dropped all that was to be forwarded.
pub type Seen = (Family, (bool, bool));

impl State {
    /// What was left.
    #[must_use]
    pub fn read_facts(&self) -> Found<Facts> {
        self.read_json(FACTS)
    }

    /// Leaves what was seen now, and nothing of what was seen earlier.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written, or a newer natwatch's are there.
    pub fn leave_facts(&self, seen: &[Seen], at: Timestamp, boot: Boot) -> Result<(), StateError> {
        let of = |family| seen.iter().find(|(of, _)| *of == family).map(|(_, seen)| *seen);
        let four = of(Family::V4);
        let six = of(Family::V6).map(|(masquerade, dropped)| Six { masquerade, dropped });
        let (masquerade, dropped) = (four.map(|seen| seen.0), four.is_some_and(|seen| seen.1));
        self.write_json(FACTS, &Facts { version: VERSION, boot, at, masquerade, dropped, six })
    }

    /// What is known by it of either family at the moment `now`, once read.
    pub fn sightings(&self, now: Option<&Boot>) -> impl Fn(Family) -> Result<Sighting, String> + 'static + use<> {
        let [four, six] = [Family::V4, Family::V6].map(|family| self.sighting(family, now));
        move |family| if family == Family::V4 { four.clone() } else { six.clone() }
    }

    /// What is known by it of a family at the moment `now`.
    ///
    /// # Errors
    ///
    /// Why it says nothing of this boot: one line, to go on from "could not look, and …".
    pub fn sighting(&self, family: Family, now: Option<&Boot>) -> Result<Sighting, String> {
        let found = self.read_facts();
        if let Some(trouble) = found.trouble() {
            return Err(trouble);
        }
        let facts = found.present().ok_or("nobody who may look has left facts.json")?;
        let now = now.ok_or("which boot this is can't be read, so facts.json says nothing")?;
        if facts.boot.id != now.id {
            return Err(format!("facts.json, of {:.0}, is of another boot", facts.at));
        }
        let seen = match family {
            Family::V4 => facts.masquerade.map(|masquerade| (masquerade, facts.dropped)),
            Family::V6 => facts.six.map(|six| (six.masquerade, six.dropped)),
        };
        let (masquerade, dropped) =
            seen.ok_or_else(|| format!("facts.json, of {:.0}, says nothing of {family}", facts.at))?;
        Ok(Sighting { family, masquerade, dropped, ago: now.at.saturating_sub(facts.boot.at) })
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
        let sighting = |boot: Option<&Boot>| state.sighting(Family::V4, boot);
        let nothing = sighting(Some(&boot("a", 10))).unwrap_err();
        assert_eq!(nothing, "nobody who may look has left facts.json");
        // The wall clock may say what it likes.
        let leave = |seen, boot| state.leave_facts(&[(Family::V4, seen)], Timestamp::UNIX_EPOCH, boot).unwrap();
        leave((false, false), boot("a", 100));
        let seen = sighting(Some(&boot("a", 820))).unwrap();
        assert_eq!(
            seen,
            Sighting { family: Family::V4, masquerade: false, dropped: false, ago: Duration::from_mins(12) }
        );
        assert_eq!(seen.to_string(), "as root saw 12 min ago, by facts.json");
        let other = sighting(Some(&boot("b", 820))).unwrap_err();
        assert_eq!(other, "facts.json, of 1970-01-01T00:00:00Z, is of another boot");
        assert!(sighting(None).unwrap_err().contains("which boot this is can't be read"));
        leave((true, false), boot("b", 1));
        assert!(sighting(Some(&boot("b", 2))).unwrap().masquerade);
    }

    #[test]
    fn f010_what_root_saw_of_one_family_says_nothing_of_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        let seen = |family| {
            state.sighting(family, Some(&boot("a", 9))).map(|seen| (seen.family, seen.masquerade, seen.dropped))
        };
        let (four, six) = ((Family::V4, (true, false)), (Family::V6, (false, true)));
        for left in [&[four][..], &[six], &[four, six]] {
            state.leave_facts(left, Timestamp::UNIX_EPOCH, boot("a", 1)).unwrap();
            for (family, (masquerade, dropped)) in [four, six] {
                let expected = if left.iter().any(|(of, _)| *of == family) {
                    Ok((family, masquerade, dropped))
                } else {
                    Err(format!("facts.json, of 1970-01-01T00:00:00Z, says nothing of {family}"))
                };
                assert_eq!(seen(family), expected, "{left:?}");
            }
        }
        // An older natwatch's is of IPv4.
        let old = r#"{"version": 1, "boot": {"id": "a", "at": {"secs": 1, "nanos": 0}}, "at": "1970-01-01T00:00:00Z", "masquerade": true}"#;
        std::fs::write(state.dir().join(FACTS), old).unwrap();
        assert_eq!(seen(Family::V4), Ok((Family::V4, true, false)));
        assert!(seen(Family::V6).is_err());
    }

    #[test]
    fn f072_facts_that_cannot_be_read_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        for (text, why) in [("{ torn", "not JSON"), ("{\"version\": 99}", "newer")] {
            std::fs::write(state.dir().join(FACTS), text).unwrap();
            let said = state.sighting(Family::V4, Some(&boot("a", 1))).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert!(
            state.leave_facts(&[(Family::V4, (true, false))], Timestamp::UNIX_EPOCH, boot("a", 1)).is_err(),
            "a newer natwatch's are left"
        );
    }
}
