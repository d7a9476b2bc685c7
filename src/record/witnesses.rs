//! Who has been seen reaching a target through the primary (`witnesses.json`), and whose `ping` takes whole seconds only.
//!
//! All that is kept are latest times, so stores merge by taking the later one, in any order and any number of times; two
//! processes that save at once may lose a sighting, which the next round makes again. The wall clock is all that survives
//! a boot, so it is used here: a time in the future (the clock was set back) counts as now.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{State, StateError, VERSION, WITNESSES};
use crate::model::Family;

/// How long a sighting is remembered.
const MEMORY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A sighting is written again when the one on disk is older than this: a healthy pass every two minutes writes nothing.
const REFRESH: SignedDuration = SignedDuration::from_hours(24);

/// More than any VPC's worth of backends; the longest unseen are forgotten first.
const MOST: usize = 20_000;

/// Which backend: an address that was given to another host makes no witness of it.
type Key = (String, Option<IpAddr>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    v4: Option<Timestamp>,
    v6: Option<Timestamp>,
    whole_seconds: Option<Timestamp>,
}

impl Seen {
    fn merge(&mut self, other: Self) {
        self.v4 = self.v4.max(other.v4);
        self.v6 = self.v6.max(other.v6);
        self.whole_seconds = self.whole_seconds.max(other.whole_seconds);
    }

    /// Forgets what is too old, and pulls what is in the future back to `now`.
    fn settle(&mut self, now: Timestamp) {
        for time in [&mut self.v4, &mut self.v6, &mut self.whole_seconds] {
            *time = time.map(|at| at.min(now)).filter(|at| now.duration_since(*at) < MEMORY);
        }
    }

    fn latest(self) -> Option<Timestamp> {
        self.v4.max(self.v6).max(self.whole_seconds)
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    host: String,
    addr: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v4: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v6: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whole_seconds_ping: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Layout {
    version: u32,
    backends: Vec<Line>,
}

/// The store, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witnesses {
    seen: BTreeMap<Key, Seen>,
    changed: bool,
}

impl Witnesses {
    /// What is remembered, and what to warn about: a file that is corrupt or newer counts as empty.
    #[must_use]
    pub fn load(state: &State, now: Timestamp) -> (Self, Option<String>) {
        let found = state.read_json::<Layout>(WITNESSES);
        let warning = found.trouble();
        let mut witnesses = Self::default();
        for line in found.present().map(|layout| layout.backends).unwrap_or_default() {
            let mut seen = Seen { v4: line.v4, v6: line.v6, whole_seconds: line.whole_seconds_ping };
            seen.settle(now);
            witnesses.seen.entry((line.host, line.addr)).or_default().merge(seen);
        }
        (witnesses, warning)
    }

    /// Whether the backend has been seen reaching a target of `family` within 30 days.
    #[must_use]
    pub fn is_witness(&self, host: &str, addr: Option<IpAddr>, family: Family, now: Timestamp) -> bool {
        let seen = self.find(host, addr);
        within(now, if family == Family::V4 { seen.v4 } else { seen.v6 })
    }

    /// The backend was seen reaching a target of `family` through the primary.
    pub fn saw(&mut self, host: &str, addr: Option<IpAddr>, family: Family, now: Timestamp) {
        let seen = self.seen.entry((host.to_owned(), addr)).or_default();
        self.changed |= note(if family == Family::V4 { &mut seen.v4 } else { &mut seen.v6 }, now);
    }

    /// Whether the backend's `ping` was found to take whole seconds only.
    #[must_use]
    pub fn whole_seconds_ping(&self, host: &str, addr: Option<IpAddr>, now: Timestamp) -> bool {
        within(now, self.find(host, addr).whole_seconds)
    }

    /// The backend's `ping` was found to take whole seconds only. Forgotten after 30 days, in case it has got a better one.
    pub fn found_whole_seconds(&mut self, host: &str, addr: Option<IpAddr>, now: Timestamp) {
        let seen = self.seen.entry((host.to_owned(), addr)).or_default();
        self.changed |= note(&mut seen.whole_seconds, now);
    }

    /// Takes over what `other` knows better.
    pub fn merge(&mut self, other: &Self) {
        for (key, seen) in &other.seen {
            self.seen.entry(key.clone()).or_default().merge(*seen);
        }
    }

    /// Writes what is known together with what is on disk by now, if there is something new in it. Returns whether it wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written; the next call tries again.
    pub fn save(&mut self, state: &State, now: Timestamp) -> Result<bool, StateError> {
        if !self.changed {
            return Ok(false);
        }
        self.merge(&Self::load(state, now).0);
        self.prune(now);
        let line = |((host, addr), seen): (&Key, &Seen)| Line {
            host: host.clone(),
            addr: *addr,
            v4: seen.v4,
            v6: seen.v6,
            whole_seconds_ping: seen.whole_seconds,
        };
        state.write_json(WITNESSES, &Layout { version: VERSION, backends: self.seen.iter().map(line).collect() })?;
        self.changed = false;
        Ok(true)
    }

    fn prune(&mut self, now: Timestamp) {
        self.seen.retain(|_, seen| {
            seen.settle(now);
            seen.latest().is_some()
        });
        if self.seen.len() > MOST {
            let mut times: Vec<_> = self.seen.iter().map(|(key, seen)| (seen.latest(), key.clone())).collect();
            times.sort();
            for (_, key) in times.drain(..self.seen.len() - MOST) {
                self.seen.remove(&key);
            }
        }
    }

    fn find(&self, host: &str, addr: Option<IpAddr>) -> Seen {
        self.seen.get(&(host.to_owned(), addr)).copied().unwrap_or_default()
    }
}

fn within(now: Timestamp, at: Option<Timestamp>) -> bool {
    // A time in the future gives a negative age, which is young enough.
    at.is_some_and(|at| now.duration_since(at) < MEMORY)
}

/// Sets `time` to `now`; whether that is worth writing.
fn note(time: &mut Option<Timestamp>, now: Timestamp) -> bool {
    let news = time.is_none_or(|at| {
        let age = now.duration_since(at);
        age >= REFRESH || age.is_negative()
    });
    // Kept at what is on disk until it is worth writing: else two sightings each minute would never add up to a day.
    if news {
        *time = Some(now);
    }
    news
}
