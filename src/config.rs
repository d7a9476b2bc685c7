//! From what was typed and written to checked settings, one per stage.
//!
//! Three stages: the file as written (`file`, with a line for every value), its values by type and range (`reader`, by
//! the table of keys in `keys`), and the rules between them (`check`). Every violated rule is reported, not just the
//! first. Past this room nothing is unset that natwatch needs, and no string is really an address.
//!
//! It asks no one but the file system: names are not resolved here, and EC2 is not asked.

mod backends;
mod check;
mod counts;
mod error;
mod file;
mod hosts;
mod how;
mod joining;
mod keys;
mod pace;
mod permissions;
mod place;
mod reader;
mod sample;
mod times;
mod told;
pub mod typed;
mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::act::ActSettings;
use crate::decide::DecideSettings;
use crate::model::Backend;
use crate::notify::NotifySettings;
use crate::observe::ObserveSettings;
use crate::preflight::PreflightSettings;

pub use error::{ConfigError, Violation};
pub use hosts::hosts_within;
pub use joining::{Joined, Joining};
pub use keys::{KEYS, Key, Kind, Presence};
pub use permissions::{Disk, Role};
pub use place::Places;
pub use sample::{Filled, filled, sample};
pub(crate) use values::duration;

/// Everything natwatch was told, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `name`; the state lives in a folder of this name.
    pub name: String,
    /// `<state.dir>/<name>`.
    pub state: PathBuf,
    /// `standby.region`; `None`: `AWS_REGION`, profile, IMDS.
    pub region: Option<String>,
    /// `primary.address`: pinged for the report only.
    pub primary_address: Option<std::net::IpAddr>,
    /// `decision.deadline`: of one `run`.
    pub deadline: Duration,
    /// `standby.witnesses`.
    pub own: Vec<Backend>,
    /// For `observe`.
    pub observe: ObserveSettings,
    /// For `decide`.
    pub decide: DecideSettings,
    /// For `preflight`.
    pub preflight: PreflightSettings,
    /// For `act`.
    pub act: ActSettings,
    /// For `watch`.
    pub watch: WatchSettings,
    /// `backends.hosts_file`, from which some of the backends are: `watch` reads the configuration again when it is another.
    pub hosts_file: Option<PathBuf>,
    /// `backends.ec2_subnets`: who joins the backends, and has joined; `None`: nobody does.
    pub fleet: Option<Joining>,
    /// `failback.canary`: the subnet that is brought back first.
    pub canary: Option<crate::model::SubnetId>,
    /// `[notify]`: the hook, where there is one.
    pub notify: Option<NotifySettings>,
    /// `metrics.textfile`.
    pub textfile: Option<PathBuf>,
    /// What is allowed but not advised; printed by `-v` and `doctor`.
    pub advice: Vec<String>,
}

/// What `watch` does otherwise than `run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchSettings {
    /// `decision.watch_span`, in place of `decision.run_span`: 0 s to 300 s.
    pub span: Duration,
    /// `decision.interval`: between probes of one target while healthy, 100 ms to an hour.
    pub interval: Duration,
}

/// The file system, as far as a configuration needs it. Errors and faults are printable, without the path.
pub trait Files {
    /// The content of the regular file at `path`.
    ///
    /// # Errors
    ///
    /// Why it can't be read.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// What is wrong with owner and permissions of `path` and its folder; empty: nothing.
    fn faults(&self, path: &Path, role: Role) -> Vec<String>;

    /// Whether `program` is there and may be run.
    ///
    /// # Errors
    ///
    /// Why not.
    fn usable(&self, program: &Path) -> Result<(), String> {
        let _ = program;
        Ok(())
    }
}

impl Settings {
    /// The rules as a `watch` goes by them, which has a span of its own.
    #[must_use]
    pub fn watched(&self) -> DecideSettings {
        DecideSettings { span: self.watch.span, ..self.decide.clone() }
    }

    /// Reads and checks the configuration at `path`, the hosts file it names, and who may change them.
    ///
    /// # Errors
    ///
    /// Every violated rule, with its place.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_from(path, &Disk)
    }

    /// The same, from these files.
    ///
    /// # Errors
    ///
    /// Every violated rule, with its place.
    pub fn load_from(path: &Path, files: &dyn Files) -> Result<Self, ConfigError> {
        let file = shown(path);
        let of_file = |text| Violation { file: file.clone(), line: None, text };
        let content = files.read(path).map_err(|why| {
            let remedy = match () {
                () if why == permissions::MISSING => "; natwatch init writes one".to_owned(),
                // Whether it is natwatch's user who asks, only who installed it knows.
                () if why.ends_with(permissions::DENIED) => format!(
                    "; ask as natwatch's user: sudo -u natwatch natwatch; if that is you: sudo chgrp natwatch {file} && sudo chmod g+r {file}"
                ),
                () => String::new(),
            };
            of_file(format!("{why}{remedy}"))
        })?;
        // A configuration that others can write is refused, and all that is wrong with it is said nevertheless.
        let faults = files.faults(path, Role::Config).into_iter().map(&of_file).collect();
        let text = String::from_utf8(content)
            .map_err(|error| of_file(format!("not UTF-8, at byte {}", error.utf8_error().valid_up_to())))?;
        Self::parse_with(&text, path, files, faults)
    }

    /// Checks `text`, the content of a configuration at `path`; `files` are asked about the files that it names.
    ///
    /// # Errors
    ///
    /// Every violated rule, with its place.
    pub fn parse(text: &str, path: &Path, files: &dyn Files) -> Result<Self, ConfigError> {
        Self::parse_with(text, path, files, Vec::new())
    }

    fn parse_with(
        text: &str,
        path: &Path,
        files: &dyn Files,
        mut violations: Vec<Violation>,
    ) -> Result<Self, ConfigError> {
        let file = shown(path);
        let (document, more) = file::read(text, &file);
        violations.extend(more);
        let settings = match document {
            Some(document) => {
                let mut reader = reader::Reader::new(&file, document, violations);
                let settings = check::settings(&mut reader, path, files);
                violations = reader.violations;
                settings
            }
            None => None,
        };
        match (ConfigError::new(violations, &file), settings) {
            (None, Some(settings)) => Ok(settings),
            (Some(error), _) => Err(error),
            // `check` gives no settings only where it noted why.
            (None, None) => Err(Violation { file, line: None, text: "unusable".to_owned() }.into()),
        }
    }
}

/// A path as messages have it.
fn shown(path: &Path) -> String {
    crate::model::printable(&path.to_string_lossy(), 200)
}

#[cfg(test)]
mod tests;
