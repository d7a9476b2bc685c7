//! The sessions of an observer: each is opened by whoever needs it first, shared by all who need it meanwhile, and kept for the rounds
//! that follow.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures_util::future::{FutureExt, LocalBoxFuture, Shared};

use super::Observer;
use crate::model::{Backend, Silence};
use crate::observe::{Uplink, Vantages};

type Connecting<'a, S> = Shared<LocalBoxFuture<'a, Result<Rc<S>, Silence>>>;

/// See the module.
pub(super) struct Sessions<'a, S> {
    open: RefCell<BTreeMap<String, Connecting<'a, S>>>,
    /// Who could not be reached when last asked.
    unreached: RefCell<BTreeSet<String>>,
}

impl<S> Default for Sessions<'_, S> {
    fn default() -> Self {
        Self { open: RefCell::default(), unreached: RefCell::default() }
    }
}

impl<S> Sessions<'_, S> {
    pub(super) fn was_unreached(&self, host: &str) -> bool {
        self.unreached.borrow().contains(host)
    }
}

impl<V: Vantages, U: Uplink> Observer<'_, V, U> {
    /// The session to `backend`, opened where there is none.
    pub(in crate::observe) async fn session(&self, backend: &Backend) -> Result<Rc<V::Session>, Silence> {
        let connecting = {
            let mut open = self.sessions.open.borrow_mut();
            let vantages = self.vantages;
            let known = open.get(&backend.host).and_then(Shared::peek).and_then(|known| known.as_ref().ok());
            if known.is_some_and(|session| !vantages.lives(session)) {
                open.remove(&backend.host);
            }
            let owned = backend.clone();
            open.entry(backend.host.clone())
                .or_insert_with(|| async move { vantages.connect(&owned).await.map(Rc::new) }.boxed_local().shared())
                .clone()
        };
        let session = connecting.await;
        if session.is_err() {
            self.leave(&backend.host);
            self.sessions.unreached.borrow_mut().insert(backend.host.clone());
        } else {
            self.sessions.unreached.borrow_mut().remove(&backend.host);
        }
        session
    }

    /// What sessions are opened with.
    pub(in crate::observe) const fn vantages(&self) -> &V {
        self.vantages
    }

    /// Whether there is a session to `host`.
    #[must_use]
    pub fn is_open(&self, host: &str) -> bool {
        let open = self.sessions.open.borrow();
        let known = open.get(host).and_then(Shared::peek).and_then(|known| known.as_ref().ok());
        known.is_some_and(|session| self.vantages.lives(session))
    }

    /// Gives the session to `host` up: it ends once nobody uses it any more.
    pub(in crate::observe) fn leave(&self, host: &str) {
        self.sessions.open.borrow_mut().remove(host);
    }

    /// Ends all sessions. Bounded by the vantages' own limit.
    pub async fn close(&self) {
        let sessions = std::mem::take(&mut *self.sessions.open.borrow_mut()).into_values();
        let open =
            sessions.filter_map(|one| one.peek().cloned()).filter_map(Result::ok).filter_map(Rc::into_inner).collect();
        self.vantages.close(open).await;
    }
}
