//! One turn: a target is pinged by one backend, and by the standby beside it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::FutureExt;
use tokio::time::Instant;

use super::posts::Turn;
use super::{Calm, Event};
use crate::model::Target;
use crate::observe::round::{Observer, Question, Shout};
use crate::observe::{Pace, Uplink, Vantages};

/// In half pings: what is owed beyond that is forgotten.
const OWED: u32 = 64;

impl<'a, V: Vantages, U: Uplink> Calm<'a, V, U>
where
    V::Session: 'a,
{
    /// One target's turn.
    pub(super) fn ask(&mut self, located: &[Target]) {
        let now = Instant::now();
        let apart = self.apart(located.len());
        let pays = self.owed > 0;
        self.owed -= u32::from(pays);
        // Nothing is made up for: a process that was frozen would ping all at once.
        self.due = (self.due + apart + if pays { apart / 2 } else { Duration::ZERO }).max(now + apart / 2);
        if located.is_empty() {
            return;
        }
        let first = self.target % located.len();
        self.target = first + 1;
        self.ask_for(located, first);
    }

    /// So many pings were sent out of turn: the targets are to get no more for that in the long run, and so the turns that follow come
    /// later, each by half of what lies between two. Where more than one backend in six calls for more, that does not do.
    pub(super) fn owe(&mut self, pings: usize) {
        self.owed = self.owed.saturating_add(2 * u32::try_from(pings).unwrap_or(OWED / 2)).min(OWED);
    }

    /// Has one of `located` pinged; the turn's number where a backend does it too.
    pub(super) fn ask_for(&mut self, located: &[Target], first: usize) -> Option<u64> {
        let turn = self.turn;
        self.turn += 1;
        let (addr, family) = (located[first].addr, located[first].family());
        let observer = Rc::clone(&self.observer);
        // Once: there is a next turn, and the target is to be spared.
        self.work.push(async move { Event::Control(turn, addr, observer.control_ping(addr, 1).await) }.boxed_local());
        // A target that does not answer the standby proves nothing, and its miss would call for pings of the others.
        if self.checked.good(addr) == Some(false) {
            return None;
        }
        let asked = Turn { number: turn, at: Instant::now(), target: addr };
        let drawn = self.posts.ask(asked, |host| !self.round.spoken(host, family))?;
        let question = Question { backend: drawn.backend.clone(), missed: Vec::new(), pace: Pace::Calm };
        let mut targets: Vec<Target> = located[first..].iter().chain(&located[..first]).cloned().collect();
        targets.retain(|one| one.family() == family);
        let shout = Shout { good: self.good.subscribe(), miss: self.miss.clone(), left: Rc::new(Cell::new(None)) };
        let observer = Rc::clone(&self.observer);
        self.work.push(async move { probe(&observer, question, targets, &shout).await }.boxed_local());
        Some(turn)
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
