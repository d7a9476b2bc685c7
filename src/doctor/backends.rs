//! Each backend, asked over SSH: the login and what it takes, what our key may do there, its `ping`, and what answers it.
//!
//! Sixteen are asked at a time, as many as natwatch logs in to at once, and each over a session of its own that ends with the last answer.
//! What is known of each is written down as it comes, so that the end of the time takes away what was not told and nothing else.

mod judge;

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::model::{Backend, Family, Fate, Silence, Target};
use crate::observe::Vantages;
use crate::observe::ssh::{KeyMay, Login, Ssh};

pub(super) use judge::{behind, findings};

/// As many logins as `ssh` makes at once: none of them waits for another's, so that each takes what it takes.
pub(super) const AT_ONCE: usize = 16;

/// How many backends ask each target at least, where there are so many: one that misses it may have lost a packet.
const ASKED_BY: usize = 2;

/// What one backend is asked for at once, as in a round.
const PINGS: usize = 4;

/// Backends, and what is asked of them here only.
pub(super) trait Doors: Vantages {
    /// What our key may do there.
    fn key_may(&self, session: &Self::Session) -> impl Future<Output = Result<KeyMay, Silence>>;
    /// Whether its `ping` was found to take whole seconds only.
    fn whole_seconds(&self, backend: &Backend) -> bool;
    /// Ends one session, within a bounded time.
    fn leave(&self, session: Self::Session) -> impl Future<Output = ()>;
}

impl Doors for Ssh {
    async fn key_may(&self, session: &Login) -> Result<KeyMay, Silence> {
        Self::key_may(self, session).await
    }

    fn whole_seconds(&self, backend: &Backend) -> bool {
        Self::whole_seconds(self).contains(&backend.host)
    }

    async fn leave(&self, session: Login) {
        Self::leave(self, session).await;
    }
}

/// One ping that a backend was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pinged {
    /// Which of the targets.
    target: usize,
    family: Family,
    said: Result<Fate, Silence>,
}

/// How far the login has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Entry {
    /// Its turn has not come.
    #[default]
    NotBegun,
    /// Begun then, and not ended.
    Waiting(Instant),
    /// Not let in.
    Refused(Silence),
    /// Let in, after so long.
    In(Duration),
}

/// What is known of one backend.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heard {
    pub(super) backend: Backend,
    /// One of `standby.witnesses`: behind the standby's own table.
    pub(super) own: bool,
    entry: Entry,
    key: Option<Result<KeyMay, Silence>>,
    pings: Vec<Pinged>,
    whole_seconds: bool,
    /// Nothing more is to come.
    done: bool,
}

impl Heard {
    fn of(backend: Backend, own: bool) -> Self {
        let entry = Entry::default();
        Self { backend, own, entry, key: None, pings: Vec::new(), whole_seconds: false, done: false }
    }

    /// Whether it has told anything of the network.
    pub(super) fn gave_a_verdict(&self) -> bool {
        self.pings.iter().any(|one| one.said.is_ok())
    }

    /// Whether a target answers it.
    pub(super) fn reaches(&self) -> bool {
        self.pings.iter().any(|one| matches!(one.said, Ok(Fate::Reply { .. })))
    }

    /// Whether it was still to be heard when the time was up. Who had not been let in by then is slow, and not silent: a run waits for a
    /// login as long as `backends.login_timeout` says, which is longer.
    pub(super) fn untold(&self) -> bool {
        match self.entry {
            Entry::NotBegun | Entry::Waiting(_) => true,
            Entry::In(_) => !self.done,
            Entry::Refused(_) => false,
        }
    }
}

/// Which of `targets` the backend number `n` of `backends` asks: at first, and where none of those answers. In turn, so that each target
/// is asked by two at least, and none by all.
fn draw(n: usize, backends: usize, targets: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let first = (ASKED_BY * targets.len()).div_ceil(backends.max(1)).clamp(1, PINGS);
    let in_turn = targets.iter().cycle().skip((n * first) % targets.len().max(1)).take(targets.len().min(PINGS));
    let mut all: Vec<usize> = in_turn.copied().collect();
    let rest = all.split_off(first.min(all.len()));
    (all, rest)
}

/// The targets to be pinged, as soon as they are known.
pub(super) type Good = watch::Receiver<Option<Vec<Target>>>;

/// Asks everybody to ping the targets that are good, until then. Logins need not wait until it is known which those are.
pub(super) async fn ask(
    doors: &impl Doors,
    backends: Vec<Backend>,
    own: Vec<Backend>,
    good: &Good,
    wait: Duration,
    until: Instant,
) -> Vec<Heard> {
    let count = backends.len();
    let all =
        backends.into_iter().map(|one| Heard::of(one, false)).chain(own.into_iter().map(|one| Heard::of(one, true)));
    let all: Vec<RefCell<Heard>> = all.map(RefCell::new).collect();
    let asking = stream::iter(all.iter().enumerate())
        .map(|(n, heard)| async move {
            visit(doors, heard, (n, count), good.clone(), wait).await;
            heard.borrow_mut().done = true;
        })
        .buffer_unordered(AT_ONCE)
        .for_each(|()| async {});
    // What was not heard by then is not known, and said so.
    let _ = timeout_at(until, asking).await;
    all.into_iter().map(RefCell::into_inner).collect()
}

/// From the login to the last answer.
async fn visit(
    doors: &impl Doors,
    heard: &RefCell<Heard>,
    (n, backends): (usize, usize),
    mut good: Good,
    wait: Duration,
) {
    let backend = heard.borrow().backend.clone();
    let began = Instant::now();
    heard.borrow_mut().entry = Entry::Waiting(began);
    let session = match doors.connect(&backend).await {
        Ok(session) => session,
        Err(silence) => {
            heard.borrow_mut().entry = Entry::Refused(silence);
            return;
        }
    };
    heard.borrow_mut().entry = Entry::In(began.elapsed());
    let may = doors.key_may(&session).await;
    heard.borrow_mut().key = Some(may);
    // Whoever finds out has them told in any case.
    let targets =
        good.wait_for(Option::is_some).await.map(|known| known.clone().unwrap_or_default()).unwrap_or_default();
    for family in [Family::V4, Family::V6] {
        let of_family = targets.iter().enumerate().filter(|(_, one)| one.family() == family).map(|(at, _)| at);
        let (first, rest) = draw(n, backends, &of_family.collect::<Vec<_>>());
        for wave in [first, rest] {
            let asked = wave.iter().map(|at| async {
                let said = doors.ping(&backend, &session, &targets[*at], wait).await.map(|asked| asked.fate);
                heard.borrow_mut().pings.push(Pinged { target: *at, family, said });
            });
            join_all(asked).await;
            let told = |one: &Pinged| one.family == family && !matches!(one.said, Ok(Fate::NoReply));
            if heard.borrow().pings.iter().any(told) {
                break;
            }
        }
    }
    let whole_seconds = doors.whole_seconds(&backend);
    heard.borrow_mut().whole_seconds = whole_seconds;
    doors.leave(session).await;
}

#[cfg(test)]
pub(super) mod tests;
