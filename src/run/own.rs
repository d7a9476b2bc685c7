//! The standby's own witnesses (`standby.witnesses`), asked beside each round that may decide: who cannot carry his own takes nobody
//! else's.

use std::cell::RefCell;
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::pass::Going;
use crate::act::Changer;
use crate::model::{OwnWitness, Round, Said, Target};
use crate::observe::{Ask, Uplink, Vantages};
use crate::preflight::{Cloud, Host};

/// What they may take longer than the round itself: half of the second for which its evidence is fresh.
pub(super) const GRACE: Duration = Duration::from_millis(500);

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// A round that may decide, and what the standby's own witnesses say meanwhile or, as long as none of them reaches, within `grace` of its
    /// end; `None` where there are none.
    pub(super) async fn deciding_round(&self, ask: Ask, grace: Duration) -> (Round, Option<Vec<OwnWitness>>) {
        let own = &self.settings.own;
        if own.is_empty() {
            return (self.round(ask).await, None);
        }
        let awaited = own.iter().map(|one| OwnWitness { host: one.host.clone(), said: Said::Awaited });
        let heard = RefCell::new(awaited.collect());
        let targets: Vec<Target> =
            self.targets.located().iter().filter_map(|(_, target)| target.as_ref().ok().cloned()).collect();
        let round = {
            let mut asking = pin!(self.observer.own(own, &targets, ask.not_before, &heard));
            let mut looking = pin!(self.round(ask));
            let mut asked = false;
            let round = loop {
                tokio::select! {
                    round = &mut looking => break round,
                    () = &mut asking, if !asked => asked = true,
                }
            };
            if !asked && !reached(&heard.borrow()) {
                // Who has not spoken by then is awaited still.
                let _ = timeout(grace, asking).await;
            }
            round
        };
        (round, Some(heard.into_inner()))
    }

    /// Whether it is too early to decide: nobody of the standby's own reaches yet, and somebody may still log in.
    pub(super) fn own_awaited(&self) -> bool {
        if self.settings.own.is_empty() {
            return false;
        }
        let Some(own) = &self.case.own else { return true };
        let awaited = own.iter().any(|one| one.said == Said::Awaited);
        let first = self.case.looks.first().map_or(Duration::ZERO, |look| look.round.ended);
        let patience = self.settings.observe.ssh.login_timeout + self.settings.observe.timeout;
        !reached(own) && awaited && (self.world.clock)().saturating_sub(first) < patience
    }
}

fn reached(own: &[OwnWitness]) -> bool {
    own.iter().any(|one| matches!(one.said, Said::Reaches(_)))
}
