//! The takeover record (`takeover.json`), which is the lock.
//!
//! Whatever can't be read and believed stays where it is, so that the next pass holds as well; only [`State::clear_record`],
//! which an operator asks for, takes it away, and keeps a copy.

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;

use super::{State, StateError, TAKEOVER, durable};
use crate::model::{Found, InstanceId, Record};

impl State {
    /// The takeover record. `own` is this instance, where it is known: a record about another is [`Found::Foreign`].
    #[must_use]
    pub fn read_record(&self, own: Option<&InstanceId>) -> Found<Record> {
        match self.read_json::<Record>(TAKEOVER) {
            Found::Present(record) if own.is_some_and(|own| *own != record.instance) => {
                Found::Foreign { path: self.path(TAKEOVER), instance: record.instance }
            }
            found => found,
        }
    }

    /// Writes the takeover record. One about another instance than `record`'s is set aside first.
    ///
    /// # Errors
    ///
    /// [`StateError::Corrupt`] and [`StateError::Newer`] where a record that we can't read is in the place;
    /// [`StateError::Io`] where the disk says no.
    pub fn write_record(&self, record: &Record) -> Result<(), StateError> {
        match self.read_record(Some(&record.instance)) {
            Found::Corrupt { path, why } => return Err(StateError::Corrupt { path, why }),
            Found::Foreign { .. } => {
                self.set_foreign_aside(&record.instance)?;
            }
            // `write_json` refuses a newer one.
            Found::Newer { .. } | Found::Absent | Found::Present(_) => {}
        }
        self.write_json(TAKEOVER, record)
    }

    /// Removes the takeover record. A corrupt one is copied aside first ([`State::keep_corrupt`]).
    ///
    /// # Errors
    ///
    /// [`StateError::Newer`] where a newer natwatch wrote it; [`StateError::Io`] where the disk says no.
    pub fn clear_record(&self) -> Result<(), StateError> {
        match self.read_json::<Record>(TAKEOVER) {
            Found::Newer { path, version } => return Err(StateError::Newer { path, version }),
            Found::Corrupt { .. } => {
                self.keep_corrupt()?;
            }
            Found::Absent | Found::Present(_) | Found::Foreign { .. } => {}
        }
        durable::remove(self.folder(), &self.path(TAKEOVER))
    }

    /// Copies a corrupt `takeover.json` to `takeover.json.corrupt-<its time>` and leaves it in place: the next pass must hold
    /// too. Any number of calls make one copy, since the name is the file's own time. Returns the copy.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it can't be read or written.
    pub fn keep_corrupt(&self) -> Result<PathBuf, StateError> {
        let path = self.path(TAKEOVER);
        let modified = fs::symlink_metadata(&path).and_then(|meta| meta.modified()).map_err(StateError::io("look at", &path))?;
        let at = Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH);
        let copy = self.path(&format!("{TAKEOVER}.corrupt-{}", stamp(at)));
        if !copy.exists()
            && let Some(bytes) = self.folder().read(&path)?
        {
            durable::write(self.folder(), &copy, &bytes)?;
        }
        Ok(copy)
    }

    /// Moves a record about another instance than `own` to `takeover.json.<that instance>`. Returns where it is now; `None` if the
    /// record is not another's. Only for the holder of the run lock.
    ///
    /// # Errors
    ///
    /// [`StateError::Io`] where the disk says no.
    pub fn set_foreign_aside(&self, own: &InstanceId) -> Result<Option<PathBuf>, StateError> {
        let Found::Foreign { path, instance } = self.read_record(Some(own)) else { return Ok(None) };
        let aside = self.path(&format!("{TAKEOVER}.{instance}"));
        durable::rename(self.folder(), &path, &aside)?;
        Ok(Some(aside))
    }
}

/// A time as part of a file name: no colons, sorts by age.
fn stamp(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}
