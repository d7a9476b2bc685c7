//! One turn: a target is pinged by one backend, and by the standby beside it.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::FutureExt;
use tokio::time::Instant;

use super::{Calm, Event};
use crate::model::Target;
use crate::observe::round::{Observer, Question, Shout};
use crate::observe::{Pace, Uplink, Vantages};

impl<'a, V: Vantages, U: Uplink> Calm<'a, V, U>
where
    V::Session: 'a,
{
    /// One target's turn.
    pub(super) fn ask(&mut self, located: &[Target]) {
        let now = Instant::now();
        let apart = self.apart(located.len());
        // Nothing is made up for: a process that was frozen would ping all at once.
        self.due = (self.due + apart).max(now + apart / 2);
        if located.is_empty() {
            return;
        }
        let turn = self.turn;
        self.turn += 1;
        let first = usize::try_from(turn).unwrap_or_default() % located.len();
        let (addr, family) = (located[first].addr, located[first].family());
        let observer = Rc::clone(&self.observer);
        // Once: there is a next turn, and the target is to be spared.
        self.work.push(async move { Event::Control(turn, addr, observer.control_ping(addr, 1).await) }.boxed_local());
        // A target that does not answer the standby proves nothing, and its miss would call for pings of the others.
        if self.checked.good(addr) == Some(false) {
            return;
        }
        let Some(drawn) = self.posts.ask(turn, |host| !self.round.spoken(host, family)) else { return };
        let question = Question { backend: drawn.backend.clone(), missed: Vec::new(), pace: Pace::Calm };
        let mut targets: Vec<Target> = located[first..].iter().chain(&located[..first]).cloned().collect();
        targets.retain(|one| one.family() == family);
        // A miss of one that was never seen reaching says nothing, and calls for no more.
        if !drawn.witness.contains(&family) {
            targets.truncate(1);
        }
        let shout = Shout { good: self.good.subscribe(), miss: self.miss.clone(), left: Rc::new(Cell::new(None)) };
        let observer = Rc::clone(&self.observer);
        self.work.push(async move { probe(&observer, question, targets, &shout).await }.boxed_local());
    }
}

/// One turn of a backend: the first of `targets`, and after a miss the others.
async fn probe<V: Vantages, U: Uplink>(
    observer: &Observer<'_, V, U>,
    question: Question,
    targets: Vec<Target>,
    shout: &Shout,
) -> Event {
    let heard = match observer.session(&question.backend).await {
        Ok(session) => observer.question(&question, &session, targets, shout).await,
        Err(silence) => Err(silence),
    };
    if heard.is_err() {
        observer.leave(&question.backend.host);
    }
    Event::Heard(question.backend.host, heard)
}
