//! What was told last (`told.json`): against it a state is a change, or none.
//!
//! It goes by states and not by passes: whatever is missed, held back or lost is told by the next look, if it is so still. Each event has
//! a number, so that of two accounts the later one is known, whatever the clock says.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{State, StateError, TOLD, VERSION};
use crate::model::{EventKind, Gate};

/// States that come and go are told of this often within [`WINDOW`], each: a network that flaps all day is a mail every ten minutes at most,
/// and not one every two. What was held back is counted, and what lasts is told within the hour.
const MOST: usize = 6;

/// See [`MOST`].
const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// A state: its event, and the gate that holds in it.
type Standing = (EventKind, Option<Gate>);

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Layout of the file: [`super::VERSION`].
    version: u32,
    /// How many events there were.
    serial: u64,
    /// The state that the last of them left; `None`: nothing is known yet.
    state: Option<Standing>,
    /// Since when.
    since: Option<Timestamp>,
    /// What was seen last, told or not.
    seen: Option<Standing>,
    /// Changes that were not told since the last event.
    untold: u32,
    /// What was told within the hour.
    recent: Vec<(EventKind, Timestamp)>,
    /// A pause was told, and its end was not.
    paused: bool,
    /// When the takeover began that was told last.
    takeover: Option<Timestamp>,
}

/// An event that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub serial: u64,
    /// What happened.
    pub kind: EventKind,
    /// The state before; `None`: nothing was known.
    pub previous: Option<EventKind>,
    /// Since when it was so.
    pub since: Option<Timestamp>,
    /// Changes before this one that nobody was told of.
    pub untold: u32,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            version: VERSION,
            serial: 0,
            state: None,
            since: None,
            seen: None,
            untold: 0,
            recent: Vec::new(),
            paused: false,
            takeover: None,
        }
    }
}

impl Told {
    /// The later one of two accounts.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        if other.serial > self.serial { other } else { self }
    }

    /// How things stand now, and the event that this is, if it is one.
    pub fn stands(&mut self, kind: EventKind, gate: Option<Gate>, now: Timestamp) -> Option<Change> {
        let current = (kind, gate);
        let new = self.seen.replace(current) != Some(current);
        let known = match self.state {
            // Nothing is wrong, and never was.
            None => kind == EventKind::Healthy,
            Some(told) => told == current || (told.0.is_deed() && told.0.settled() == kind),
        };
        if known {
            if self.state.is_none_or(|told| told != current) {
                (self.state, self.since) = (Some(current), Some(now));
            }
            // Back from what was not told.
            self.untold = self.untold.saturating_add(u32::from(new && self.untold > 0));
            return None;
        }
        self.recent.retain(|(_, at)| {
            let age = now.duration_since(*at);
            !age.is_negative() && age < WINDOW
        });
        if self.recent.iter().filter(|(told, _)| *told == kind).count() >= MOST {
            self.untold = self.untold.saturating_add(u32::from(new));
            return None;
        }
        self.recent.push((kind, now));
        Some(self.event(kind, Some(current), now))
    }

    /// Something was done, or has ended; `left` is the state that it left, where it is another.
    pub fn done(&mut self, kind: EventKind, left: Option<EventKind>, now: Timestamp) -> Change {
        match kind {
            EventKind::Paused => self.paused = true,
            EventKind::Resumed => self.paused = false,
            _ => {}
        }
        let left = left.map(|state| (state, None));
        self.seen = left.or(self.seen);
        self.event(kind, left, now)
    }

    /// Whether a pause has begun or ended that was not told; `paused`: there is one now.
    #[must_use]
    pub fn pause(&self, paused: bool) -> Option<EventKind> {
        match (self.paused, paused) {
            (false, true) => Some(EventKind::Paused),
            (true, false) => Some(EventKind::Resumed),
            _ => None,
        }
    }

    /// A takeover that `began` then is on record. Whether nobody was told of it, by a process that was killed before it could; it counts as
    /// told from now on. What was there before anything was told is no news.
    pub fn takeover(&mut self, began: Timestamp) -> bool {
        let before = self.takeover.replace(began);
        self.state.is_some() && before.is_none_or(|told| told < began)
    }

    fn event(&mut self, kind: EventKind, left: Option<Standing>, now: Timestamp) -> Change {
        self.serial += 1;
        let change = Change {
            serial: self.serial,
            kind,
            previous: self.state.map(|(state, _)| state),
            since: self.since,
            untold: std::mem::take(&mut self.untold),
        };
        if left.is_some() {
            (self.state, self.since) = (left, Some(now));
        }
        change
    }
}

impl State {
    /// What was told; a file that can't be used counts as none, at the price of an event too many or too few.
    #[must_use]
    pub fn read_told(&self) -> Told {
        self.read_json(TOLD).present().unwrap_or_default()
    }

    /// Remembers what was told.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written.
    pub fn write_told(&self, told: &Told) -> Result<(), StateError> {
        self.write_json(TOLD, told)
    }
}

#[cfg(test)]
mod tests {
    use EventKind::{Degraded, Down, Failback, Healthy, Isolated, Locked, Paused, Reset, Resumed, TakenOver};

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
    }

    /// What is told of these states, one a minute.
    fn told(states: &[EventKind]) -> Vec<(i64, EventKind, Option<EventKind>)> {
        let mut told = Told::default();
        let mut events = Vec::new();
        for (minute, state) in (0..).zip(states) {
            let change = if state.is_deed() {
                Some(told.done(*state, Some(*state), at(minute)))
            } else {
                told.stands(*state, None, at(minute))
            };
            events.extend(change.map(|change| (minute, change.kind, change.previous)));
        }
        events
    }

    #[test]
    fn a_change_is_told_once_and_a_fresh_installation_that_is_healthy_is_none() {
        assert_eq!(told(&[Healthy, Healthy]), []);
        assert_eq!(told(&[Isolated, Isolated]), [(0, Isolated, None)]);
        let comes = [Healthy, Degraded, Degraded, Healthy, Down, Down];
        assert_eq!(
            told(&comes),
            [(1, Degraded, Some(Healthy)), (3, Healthy, Some(Degraded)), (4, Down, Some(Healthy))]
        );
    }

    #[test]
    fn what_follows_a_deed_by_itself_is_no_news() {
        assert_eq!(told(&[Healthy, Down, TakenOver, Locked, Locked, Failback, Healthy]).len(), 3);
        assert_eq!(told(&[Healthy, TakenOver, Locked, Degraded, Locked]).len(), 3);
        assert_eq!(told(&[Locked, Reset, Healthy]), [(0, Locked, None), (1, Reset, Some(Locked))]);
        // But what does not follow is.
        assert_eq!(told(&[Healthy, Failback, Locked]), [(1, Failback, Some(Healthy)), (2, Locked, Some(Failback))]);
    }

    #[test]
    fn another_gate_is_another_state() {
        let mut one = Told::default();
        assert!(one.stands(Down, Some(Gate::Paused), at(0)).is_some());
        assert!(one.stands(Down, Some(Gate::Paused), at(1)).is_none());
        assert!(one.stands(Down, Some(Gate::Unfit), at(2)).is_some());
    }

    #[test]
    fn a_state_that_flaps_is_told_six_times_an_hour_then_counted_and_what_lasts_is_told_within_the_hour() {
        let mut one = Told::default();
        let mut events = Vec::new();
        // Every minute another state for two hours, and degraded from then on.
        for minute in 0..240 {
            let state = if minute >= 120 || minute % 2 == 1 { Degraded } else { Healthy };
            events.extend(one.stands(state, None, at(minute)).map(|change| (minute, change)));
        }
        let degraded = |hour: i64| {
            events.iter().filter(|(at, one)| one.kind == Degraded && (hour * 60..hour * 60 + 60).contains(at)).count()
        };
        assert_eq!((degraded(0), degraded(1)), (6, 6), "{events:?}");
        let first_hour = events.iter().filter(|(at, _)| *at < 60).count();
        assert!((11..=12).contains(&first_hour), "{events:?}");
        let last = events.last().unwrap();
        assert!(last.1.kind == Degraded && last.0 < 180, "{last:?}");
        // Nothing is lost: what was not told is counted.
        let untold: u32 = events.iter().map(|(_, one)| one.untold).sum();
        assert!(untold > 80, "{untold}");
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        let mut one = Told::default();
        for minute in 0..20 {
            one.stands(if minute % 2 == 1 { Degraded } else { Healthy }, None, at(minute));
        }
        assert!(one.stands(Down, None, at(-600)).is_some());
        assert!(one.stands(Degraded, None, at(-599)).is_some());
    }

    #[test]
    fn a_pause_is_told_when_it_begins_and_ends_however_it_ends_and_changes_no_state() {
        let mut one = Told::default();
        one.stands(Degraded, None, at(0));
        assert_eq!(one.pause(false), None);
        assert_eq!(one.pause(true), Some(Paused));
        assert_eq!(one.done(Paused, None, at(1)).previous, Some(Degraded));
        assert_eq!((one.pause(true), one.pause(false)), (None, Some(Resumed)));
        one.done(Resumed, None, at(2));
        assert_eq!(one.pause(false), None);
        assert!(one.stands(Degraded, None, at(3)).is_none());
    }

    #[test]
    fn a_takeover_that_a_killed_process_could_not_tell_is_known_by_its_record() {
        let mut one = Told::default();
        assert!(!one.takeover(at(0)), "before anything was told");
        one.stands(Locked, None, at(1));
        assert!(!one.takeover(at(0)));
        assert!(one.takeover(at(2)));
        assert!(!one.takeover(at(2)));
    }

    #[test]
    fn of_two_accounts_the_later_one_counts() {
        let mut one = Told::default();
        one.stands(Degraded, None, at(5));
        let mut two = one.clone();
        two.stands(Down, None, at(1));
        assert_eq!(one.clone().later(two.clone()), two);
        assert_eq!(two.clone().later(one), two);
    }
}
