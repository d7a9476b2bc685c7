//! What is remembered of targets (`targets.json`): where names were last found, and when each began or ceased to answer the standby.
//!
//! Names are kept for an hour, for a round in which the resolver does not answer. Changes are kept for an hour too, and whoever
//! changes too often is *flapping*: reported, and never evidence. The wall clock is all that survives a boot, so it is used
//! here; a time in the future (the clock was set back) is as good as forgotten.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{State, StateError, TARGETS, VERSION};

/// How long a name's address, and a change, are remembered: by then DNS has been mended or is somebody's emergency, and what a
/// target did is no news.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);

/// A target that has changed so often within the hour flaps. A reboot or a deployment at its owner's makes two changes, out of
/// reach and back; a second such episode within the hour is no maintenance any more. It is counted in changes and not in runs,
/// so that cron and `watch` come to the same. By chance it does not happen: with 10 % of all packets lost each way, the three
/// tries of a control ping fail once in 150 runs, and an hour of cron has thirty.
const FLAPS: usize = 4;

/// Changes kept of one target: of one that flaps, more would tell nothing.
const MOST: usize = 16;

/// An address found again is written when what is on disk is older than this: a healthy pass every two minutes writes nothing,
/// and an hour's memory lasts for three quarters of one at least.
const REFRESH: SignedDuration = SignedDuration::from_mins(15);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    addr: Option<IpAddr>,
    /// When it was last found at `addr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<Timestamp>,
    /// Whether it answered the standby when last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    good: Option<bool>,
    /// When that changed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Layout {
    version: u32,
    targets: Vec<Line>,
}

/// The store, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    lines: BTreeMap<String, Line>,
    changed: bool,
}

impl Targets {
    /// What is remembered, and what to warn about: a file that is corrupt or newer counts as empty.
    #[must_use]
    pub fn load(state: &State) -> (Self, Option<String>) {
        let found = state.read_json::<Layout>(TARGETS);
        let warning = found.trouble();
        let lines = found.present().map(|layout| layout.targets).unwrap_or_default();
        let lines = lines.into_iter().map(|line| (line.name.clone(), line)).collect();
        (Self { lines, changed: false }, warning)
    }

    /// Where names were found within the last hour.
    #[must_use]
    pub fn known(&self, now: Timestamp) -> BTreeMap<String, IpAddr> {
        let recent = |line: &Line| line.found.is_some_and(|at| within(at, now));
        let lines = self.lines.values().filter(|line| recent(line));
        lines.filter_map(|line| Some((line.name.clone(), line.addr?))).collect()
    }

    /// The name was looked up and found there.
    pub fn found(&mut self, name: &str, addr: IpAddr, now: Timestamp) {
        let line = self.line(name);
        let due = line.found.is_none_or(|at| now.duration_since(at) >= REFRESH || at > now);
        if line.addr != Some(addr) || due {
            line.addr = Some(addr);
            line.found = Some(now);
            self.changed = true;
        }
    }

    /// The target answered the standby, or did not while others did.
    pub fn observed(&mut self, name: &str, good: bool, now: Timestamp) {
        let line = self.line(name);
        if line.good == Some(good) {
            return;
        }
        // The first word about a target is no change.
        if line.good.replace(good).is_some() {
            line.changes.push(now);
            line.changes.retain(|at| within(*at, now));
            let many = line.changes.len().saturating_sub(MOST);
            line.changes.drain(..many);
        }
        self.changed = true;
    }

    /// Who flaps, and how often it has changed within the last hour.
    #[must_use]
    pub fn flapping(&self, now: Timestamp) -> Vec<(&str, usize)> {
        let count = |line: &Line| line.changes.iter().filter(|at| within(**at, now)).count();
        let counted = self.lines.values().map(|line| (line.name.as_str(), count(line)));
        counted.filter(|(_, changes)| *changes >= FLAPS).collect()
    }

    /// Writes what is known of the `configured` targets, if there is something new in it. Returns whether it wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written; the next call tries again.
    pub fn save(&mut self, state: &State, configured: &[String]) -> Result<bool, StateError> {
        if !self.changed {
            return Ok(false);
        }
        self.lines.retain(|name, _| configured.contains(name));
        state.write_json(TARGETS, &Layout { version: VERSION, targets: self.lines.values().cloned().collect() })?;
        self.changed = false;
        Ok(true)
    }

    fn line(&mut self, name: &str) -> &mut Line {
        self.lines.entry(name.to_owned()).or_insert_with(|| Line { name: name.to_owned(), ..Line::default() })
    }
}

fn within(at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(at);
    !age.is_negative() && age < MEMORY
}

#[cfg(test)]
mod tests;
