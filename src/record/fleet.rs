//! The running instances of the guarded subnets as last seen (`fleet.json`), beside the guarded subnets and not among them: every round is saved
//! with those, and some hundred instances are of no use in it.

use super::{FLEET, State, StateError};
use crate::model::{Fleet, Found};

impl State {
    /// The instances that EC2 showed when last asked, and what to warn about: a file that is corrupt or newer counts as absent, since EC2 can be
    /// asked again.
    #[must_use]
    pub fn read_fleet(&self) -> (Option<Fleet>, Option<String>) {
        let found: Found<Fleet> = self.read_json(FLEET);
        let warning = found.trouble();
        (found.present(), warning)
    }

    /// Remembers the instances, where they are others than before: a `watch` begins anew with each other file.
    ///
    /// # Errors
    ///
    /// [`StateError`] where they could not be written, or a newer natwatch's are there.
    pub fn write_fleet(&self, fleet: &Fleet) -> Result<(), StateError> {
        match self.read_fleet().0 {
            Some(known) if known.same(fleet) => Ok(()),
            _ => self.write_json(FLEET, fleet),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::VERSION;
    use super::*;
    use crate::model::Resident;

    fn fleet(addrs: &[&str]) -> Fleet {
        let resident = |(n, addr): (usize, &&str)| Resident {
            instance: format!("i-0{n}").parse().unwrap(),
            name: Some("web".to_owned()),
            addr: addr.parse().unwrap(),
        };
        Fleet {
            version: VERSION,
            primary: "rtb-0a".parse().unwrap(),
            standby: "rtb-0b".parse().unwrap(),
            members: addrs.iter().enumerate().map(resident).collect(),
            more: 0,
            without_address: 0,
            seen: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_fleet_is_read_as_written_and_written_again_only_where_it_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        // A folder of a natwatch that knew no fleet.
        assert_eq!(state.read_fleet(), (None, None));
        let one = fleet(&["10.0.10.5"]);
        state.write_fleet(&one).unwrap();
        assert_eq!(state.read_fleet(), (Some(one.clone()), None));
        let mark = state.mark(FLEET);
        state.write_fleet(&Fleet { seen: Timestamp::MAX, ..one.clone() }).unwrap();
        assert_eq!(state.mark(FLEET), mark, "a watch would begin anew at every reading");
        let two = fleet(&["10.0.10.5", "10.0.10.6"]);
        state.write_fleet(&two).unwrap();
        assert_eq!(state.read_fleet(), (Some(two), None));
    }

    #[test]
    fn f072_a_fleet_that_cannot_be_read_counts_as_none_and_a_newer_one_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        for (text, why, written) in [("{ torn", "not JSON", true), ("{\"version\": 99}", "newer", false)] {
            std::fs::write(state.dir().join(FLEET), text).unwrap();
            let (fleet_read, warning) = state.read_fleet();
            assert!(fleet_read.is_none() && warning.unwrap().contains(why), "{text}");
            assert_eq!(state.write_fleet(&fleet(&["10.0.10.5"])).is_ok(), written, "{text}");
        }
    }

    #[test]
    fn fields_that_a_later_layout_has_besides_and_an_older_one_has_not_are_no_fault() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        let text = r#"{"version": 1, "primary": "rtb-0a", "standby": "rtb-0b", "seen": "2026-01-01T00:00:00Z", "else": 1,
            "members": [{"instance": "i-0a", "name": null, "addr": "10.0.10.5"}]}"#;
        std::fs::write(state.dir().join(FLEET), text).unwrap();
        let found = state.read_fleet().0.unwrap();
        assert_eq!((found.members.len(), found.more, found.without_address), (1, 0, 0));
    }
}
