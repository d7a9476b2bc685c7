//! Events: made of what passes come to and operators do, kept until the hook has taken them, and brought to it.
//!
//! What happened is on disk before anybody is called, so that whoever is killed in between leaves it to the next run. Nothing here fails: a
//! disk or a hook that does not do its part is told of, and changes neither the outcome nor the exit status.

mod outbox;

use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::config::Settings;
use crate::decide::Case;
use crate::model::{Counts, EventKind, Found, InstanceId, Names, Pass, Paused, Phase, Purpose};
use crate::record::State;
use crate::record::events::{Events, Waiting};
use crate::record::lock::{BRIEF, PATIENT, Turn};
use crate::record::pause::in_force;
use crate::record::told::{Change, Told};
use crate::report::event::{self, Event};

/// What an event is made of, besides the change that it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deed<'a> {
    /// Why, in one sentence.
    pub because: &'a str,
    /// The pass that it came of.
    pub pass: Option<&'a Pass>,
    /// The pause that holds from now on.
    pub paused: Option<&'a Paused>,
    /// This instance, where it is known.
    pub instance: Option<&'a InstanceId>,
}

/// See the module.
pub struct Post<'a> {
    settings: &'a Settings,
    state: &'a State,
    /// As this process knows it, which is more than the disk does where that is full.
    told: RefCell<Option<Told>>,
    /// Events that could not be written.
    unsaved: RefCell<Vec<Waiting>>,
    /// For the metrics, and not in their file yet.
    uncounted: RefCell<Counts>,
    /// How long others are waited for who make events, or count them.
    patience: Duration,
    wake: Notify,
}

impl<'a> Post<'a> {
    /// Of this configuration.
    #[must_use]
    pub fn new(settings: &'a Settings, state: &'a State) -> Self {
        Self {
            settings,
            state,
            told: RefCell::default(),
            unsaved: RefCell::default(),
            uncounted: RefCell::default(),
            patience: PATIENT,
            wake: Notify::new(),
        }
    }

    /// The same beside the rounds of a `watch`, which wait for nobody.
    #[must_use]
    pub fn beside_rounds(self) -> Self {
        Self { patience: BRIEF, ..self }
    }

    /// A pass has ended, as it was told. Returns whether there is an event in it.
    pub fn passed(&self, pass: &Pass, case: &Case) -> bool {
        let Some(kind) = EventKind::of(pass.outcome).filter(|_| self.settings.notify.is_some() && !pass.dry_run) else {
            return false;
        };
        let moved = case.moved_anew();
        if case.planned && !pass.moves.iter().any(|one| one.result.perhaps_moved()) {
            // Held, which says nothing of the network.
            return false;
        }
        let now = Timestamp::now();
        // Of two who see the same change one tells it. An event too many is better than none, so nobody waits for long.
        let turn = Turn::take(self.state, self.patience);
        let before = self.told();
        let mut told = before.clone();
        let paused = in_force(self.state.read_pause(), now);
        let record = self.state.read_record(None);
        let instance = self.instance(Some(case), &record);
        let because = pass.because.as_str();
        let deed = Deed { because, pass: Some(pass), paused: paused.as_ref(), instance: instance.as_ref() };
        if let Some(kind) = told.pause(paused.is_some()) {
            let because = paused.as_ref().map_or_else(|| "the pause is over".to_owned(), ToString::to_string);
            let change = told.done(kind, None, now);
            self.send(change, &told, now, Deed { because: &because, pass: None, ..deed });
        }
        if let Found::Present(record) = &record
            && record.purpose == Purpose::Takeover
            && (moved || record.phase == Phase::Taken)
            && told.takeover(record.began)
            && !moved
        {
            let because = format!(
                "{} (taken over at {:.0}; natwatch was ended before it could tell)",
                record.because, record.began
            );
            let change = told.done(EventKind::TakenOver, Some(EventKind::TakenOver), now);
            self.send(change, &told, now, Deed { because: &because, pass: None, ..deed });
        }
        let gate = pass.holds.first().map(|hold| hold.gate);
        let change = if moved { Some(told.done(kind, Some(kind), now)) } else { told.stands(kind, gate, now) };
        if let Some(change) = change {
            self.send(change, &told, now, deed);
        }
        self.remember(&before, told);
        drop(turn);
        self.count();
        change.is_some()
    }

    /// An operator has done something.
    pub fn did(&self, kind: EventKind, deed: Deed<'_>) {
        if self.settings.notify.is_none() {
            return;
        }
        let now = Timestamp::now();
        let turn = Turn::take(self.state, self.patience);
        let before = self.told();
        let mut told = before.clone();
        let left = (!matches!(kind, EventKind::Paused | EventKind::Resumed)).then_some(kind);
        let change = told.done(kind, left, now);
        let instance = self.instance(None, &self.state.read_record(None));
        let instance = deed.instance.or(instance.as_ref());
        self.send(change, &told, now, Deed { instance, ..deed });
        self.remember(&before, told);
        drop(turn);
        self.count();
    }

    fn told(&self) -> Told {
        let disk = self.state.read_told();
        let told = match self.told.borrow().clone() {
            Some(known) => known.later(disk),
            None => disk,
        };
        // An event that was written, by a process that was killed before it could write this.
        self.kept().into_iter().fold(told, |told, one| told.later(one.told))
    }

    fn kept(&self) -> Vec<Waiting> {
        Events::look(self.state).map(|events| events.waiting()).unwrap_or_default()
    }

    fn remember(&self, before: &Told, told: Told) {
        if told != *before
            && let Err(error) = self.state.write_told(&told)
        {
            tracing::warn!(event = "state", "{error}");
        }
        self.told.replace(Some(told));
    }

    fn instance(&self, case: Option<&Case>, record: &Found<crate::model::Record>) -> Option<InstanceId> {
        let surveyed = case.and_then(|case| case.survey.as_ref()?.identity.clone().ok());
        let recorded = || if let Found::Present(record) = record { Some(record.instance.clone()) } else { None };
        self.settings.preflight.standby_instance.clone().or(surveyed).or_else(recorded)
    }

    /// What is known of how things are called, by the pass and besides.
    fn names(&self, pass: Option<&Pass>) -> Names {
        let mut names = Names::new();
        if let Some(set) = self.state.read_guarded().0 {
            names.learn_guarded(&set);
        }
        if let Found::Present(record) = self.state.read_record(None) {
            names.learn_moves(&record.moves);
        }
        if let Some(pass) = pass {
            names.extend(&pass.names);
        }
        names
    }

    fn send(&self, change: Change, told: &Told, at: Timestamp, deed: Deed<'_>) {
        let Change { serial, kind, previous, since, untold } = change;
        let id = format!("{serial:08}-{}-{:08x}", at.strftime("%Y%m%dT%H%M%SZ"), rand::random::<u32>());
        let Deed { because, pass, paused, instance } = deed;
        let name = self.settings.name.as_str();
        let names = self.names(pass);
        let document = event::document(&Event {
            id: &id,
            kind,
            name,
            at,
            instance,
            previous,
            since,
            untold,
            because,
            pass,
            paused,
            names: &names,
        });
        tracing::debug!(event = "event", id, "{kind} is to be told");
        let one = Waiting::new(id, kind, at, document, told.clone());
        match Events::open(self.state).and_then(|events| events.keep(&one)) {
            Ok(0) => {}
            Ok(lost) => {
                tracing::error!(
                    event = "events-dropped",
                    "more events wait for the hook than are kept; the oldest are dropped: {lost}"
                );
                self.counted(&Counts { lost: lost as u64, ..Counts::default() });
            }
            Err(error) => {
                tracing::warn!(event = "state", "{error}; the hook is called all the same");
                self.unsaved.borrow_mut().push(one);
            }
        }
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests;
