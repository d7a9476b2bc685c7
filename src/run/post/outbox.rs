//! Events on their way to the hook, and what is counted of them.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;

use super::Post;
use crate::model::Counts;
use crate::notify::{self, Letter, Outbox, Program};
use crate::record::events::{Events, Waiting};
use crate::run::signals::Signals;

/// Between two attempts at the right to deliver, which a `run` has for seconds.
const AGAIN: Duration = Duration::from_secs(1);

impl Post<'_> {
    /// Brings to the hook what waits, within the hook's timeout; a signal ends that, also one that was `heard` before. Returns whether there
    /// was anything to bring.
    pub(crate) async fn deliver(&self, heard: &mut Signals) -> bool {
        let Some(settings) = &self.settings.notify else { return false };
        let events = Events::look(self.state);
        if self.waiting().is_empty() {
            return false;
        }
        // Another is at it; what it does not know is on disk for it.
        let right = events.as_ref().ok().and_then(Events::deliver);
        if right.is_none() && self.unsaved.borrow().is_empty() {
            return false;
        }
        let hook = Program::new(settings, &self.settings.name);
        tokio::select! {
            biased;
            number = heard.next() => tracing::warn!(event = "signal", "ended by signal {number}; events wait for the next run"),
            () = notify::once(self, &hook) => {}
        }
        true
    }

    /// The same, again and again.
    pub async fn forever(&self) -> Infallible {
        let Some(settings) = &self.settings.notify else { return std::future::pending().await };
        // Whoever else makes an event meanwhile leaves it to us.
        let _right = loop {
            match Events::open(self.state).ok().and_then(|events| events.deliver()) {
                Some(right) => break right,
                None => sleep(AGAIN).await,
            }
        };
        let hook = Program::new(settings, &self.settings.name);
        notify::forever(self, &hook, &self.wake).await
    }

    pub(super) fn counted(&self, more: &Counts) {
        let counts = self.uncounted.take();
        self.uncounted.replace(counts.plus(more));
    }

    /// For the metrics, where there are any. What can't be counted now is with the next.
    pub(super) fn count(&self) {
        if self.settings.textfile.is_none() || *self.uncounted.borrow() == Counts::default() {
            return;
        }
        let trouble = self.state.count(&self.uncounted.borrow(), self.patience).1;
        match trouble {
            None => drop(self.uncounted.take()),
            Some(error) if error.is_busy() => {}
            Some(error) => tracing::warn!(event = "state", "{error}"),
        }
    }
}

impl Outbox for Post<'_> {
    fn waiting(&self) -> Vec<Letter> {
        let letter = |one: Waiting| Letter { id: one.id, event: one.event, document: one.document, calls: one.calls };
        self.kept().into_iter().chain(self.unsaved.borrow().iter().cloned()).map(letter).collect()
    }

    fn calling(&self, id: &str, calls: u32) {
        for one in self.unsaved.borrow_mut().iter_mut().filter(|one| one.id == id) {
            one.calls = calls;
        }
        let Some(one) = self.kept().into_iter().find(|one| one.id == id) else { return };
        if let Err(error) = Events::open(self.state).and_then(|events| events.keep(&Waiting { calls, ..one })) {
            tracing::warn!(event = "state", "{error}");
        }
    }

    fn done(&self, id: &str, lost: bool) {
        self.unsaved.borrow_mut().retain(|one| one.id != id);
        if let Err(error) = Events::open(self.state).and_then(|events| events.remove(id)) {
            tracing::warn!(event = "state", "{error}");
        }
        self.counted(&Counts { lost: u64::from(lost), delivered: u64::from(!lost), ..Counts::default() });
        self.count();
    }
}
