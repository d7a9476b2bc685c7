//! Last step `elastic_ip`: bring an Elastic IP address to an interface, or back to where it was.
//!
//! `AssociateAddress` has no compare-and-swap token, so the address is looked up right before, and moved only from where the plan
//! expects it, or from nowhere: whoever else has it keeps it. The call changes the public address that this instance itself is
//! reached by, and with it the way of the reply: that may be lost although all went well. So an outcome that is not known is looked
//! up, and what is still as it was is asked for again; that is the same call with the same values. (An interface has one Elastic IP
//! address for each of its private ones; the one that gives way is remembered, and the way back gives it back.)
//!
//! Invariants: after EC2's "done" nothing is called for the address again; nothing waits past the deadline.

use super::budget::Budget;
use super::{Addresses, ChangeError};
use crate::model::{AllocationId, Holder, MoveResult, PlannedAddress, Way};

/// Brings the address where the plan wants it. The plan comes back with who had it before, and which address gave way.
pub(super) async fn bring(
    changer: &impl Addresses,
    planned: &PlannedAddress,
    budget: Budget<'static>,
    dry_run: bool,
) -> (PlannedAddress, MoveResult) {
    let mut attempt = Attempt {
        changer,
        done: planned.clone(),
        planned,
        budget,
        dry_run,
        in_doubt: false,
        called: false,
        last: None,
    };
    let result = loop {
        if let Some(result) = attempt.step().await {
            break result;
        }
        if !attempt.budget.pause().await {
            break attempt.give_up().await;
        }
    };
    let result = match (&planned.displaced, &planned.from) {
        (Some(displaced), Some(holder)) if result.moved() => {
            // The way back: what had to give way comes back to where it was. Nobody else can have taken that place meanwhile.
            let back =
                PlannedAddress { address: displaced.clone(), from: None, to: Some(holder.clone()), displaced: None };
            match Box::pin(bring(changer, &back, budget, dry_run)).await.1 {
                MoveResult::Failed(why) => MoveResult::Failed(format!(
                    "it is back, but {displaced}, which had to give way to it, is not: {why}"
                )),
                _ => result,
            }
        }
        _ => result,
    };
    (attempt.done, result)
}

struct Attempt<'a, C> {
    changer: &'a C,
    planned: &'a PlannedAddress,
    /// The plan, with what was found.
    done: PlannedAddress,
    budget: Budget<'static>,
    dry_run: bool,
    /// A call of ours may have been carried out.
    in_doubt: bool,
    /// Something was called: what is found from now on is no longer what was before.
    called: bool,
    /// What EC2 said last.
    last: Option<String>,
}

impl<C: Addresses> Attempt<'_, C> {
    /// Looks, and calls where that is due; `None`: another attempt.
    async fn step(&mut self) -> Option<MoveResult> {
        let held = match self.budget.call(self.changer.address(&self.planned.address)).await {
            Some(Ok(held)) => held,
            Some(Err(why)) => {
                self.last = Some(why);
                return None;
            }
            None => return None,
        };
        let holder = held.as_ref().map(|held| &held.holder);
        if let Some(result) = self.settled(holder) {
            return Some(result);
        }
        if !self.called {
            self.done.from = holder.cloned();
            self.done.displaced = self.displaced().await.or_else(|| self.planned.displaced.clone());
        }
        self.called = true;
        let answer = match (&self.planned.to, &held) {
            (Some(to), _) => {
                self.budget.call(self.changer.associate_address(&self.planned.address, to, self.dry_run)).await
            }
            (None, Some(held)) => {
                self.budget.call(self.changer.disassociate_address(&held.association, self.dry_run)).await
            }
            (None, None) => return Some(self.there()),
        };
        match answer {
            Some(Ok(())) if self.dry_run => Some(MoveResult::WouldMove),
            Some(Ok(())) => Some(MoveResult::Moved),
            Some(Err(ChangeError::Refused(why))) if !self.in_doubt => Some(MoveResult::Failed(why)),
            Some(Err(ChangeError::Refused(why) | ChangeError::Throttled(why) | ChangeError::Stale(why))) => {
                self.last = Some(why);
                None
            }
            Some(Err(ChangeError::Unknown(why))) => {
                self.last = Some(why);
                self.in_doubt |= !self.dry_run;
                None
            }
            None => {
                self.in_doubt |= !self.dry_run;
                None
            }
        }
    }

    /// Whether nothing is to be called: the address is where it is to be, or where nobody expected it.
    fn settled(&self, holder: Option<&Holder>) -> Option<MoveResult> {
        match (holder, &self.planned.to) {
            (None, None) => Some(self.there()),
            (Some(holder), Some(to)) if to.same(holder) => Some(self.there()),
            (None, Some(_)) => None,
            (Some(holder), _) => {
                let expected = self.planned.from.as_ref().is_some_and(|from| same_owner(&from.way, &holder.way));
                (!expected).then(|| MoveResult::Elsewhere(holder.to_string()))
            }
        }
    }

    /// The address that has the place where this one is to be. An interface with several is left to an operator's memory.
    async fn displaced(&self) -> Option<AllocationId> {
        let interface = self.planned.to.as_ref()?.way.interface.as_ref()?;
        match self.budget.call(self.changer.addresses_of(interface)).await?.ok()?.as_slice() {
            [only] if *only != self.planned.address => Some(only.clone()),
            _ => None,
        }
    }

    /// The address is where it is to be. After a lost reply that is our own doing.
    const fn there(&self) -> MoveResult {
        if self.in_doubt { MoveResult::Moved } else { MoveResult::AlreadyThere }
    }

    /// The time for calls is over; one reading more, where nobody knows.
    async fn give_up(&mut self) -> MoveResult {
        let why = self.budget.spent(self.last.as_deref());
        if !self.in_doubt {
            return MoveResult::Failed(why);
        }
        match self.budget.last_look(self.changer.address(&self.planned.address)).await {
            Some(Ok(held)) => self
                .settled(held.as_ref().map(|held| &held.holder))
                .unwrap_or_else(|| MoveResult::Failed(format!("outcome not certain, last seen as it was: {why}"))),
            Some(Err(_)) | None => MoveResult::Failed(format!("unknown outcome: {why}")),
        }
    }
}

/// Whether two ways lead to one instance, by whatever interface; where EC2 names no instance, to one interface.
fn same_owner(one: &Way, other: &Way) -> bool {
    match (&one.instance, &other.instance) {
        (Some(one), Some(other)) => one == other,
        _ => one.interface.is_some() && one.interface == other.interface,
    }
}
